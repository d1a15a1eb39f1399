"""A short trial of one shape on this machine: what a step, an evaluation, a start and a worker's memory cost."""

from __future__ import annotations

import dataclasses
import itertools
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from softstep import envs
from softstep.config import Config
from softstep.jax_settings.pinned import pinned
from softstep.policies.evaluation import block_player
from softstep.records.events import Progress
from softstep.runs import api as runs
from softstep.runs.api import Run
from softstep.training.evaluation import GreedyEpisodes
from softstep.training.replay_rows import replay_bytes

TRIAL_SECONDS = 2.0
"""Time that a trial goes on learning, if the run is not shorter; the compilation of its programs does not count."""


class Span(NamedTuple):
    """A time in seconds that is between two ends."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The mean of both ends."""
        return (self.low + self.high) / 2


class Trial(NamedTuple):
    """What a trial of one shape measured."""

    step_seconds: float
    """Time that a block takes for one environment step of each of its agents."""
    evaluation: Span
    """Time that a block takes for one evaluation: with episodes as long as now, and with the longest possible ones."""
    megabytes: float
    """Peak memory of a worker, with a full replay."""


class LearningLog:
    """A view of a run that logs the progress of every block from its start of learning on."""

    def __init__(self, learning_starts: int, blocks: int) -> None:
        self._learning_starts, self._blocks = learning_starts, blocks
        self._moments: dict[int, list[tuple[float, int]]] = {}
        self._ended = set[int]()

    def update(self, block: int, progress: Progress) -> None:
        """Log (seconds of training, environment steps) of a block that is learning.

        The first moment that is logged is before the start of learning. By the second, programs are compiled.
        """
        moments = self._moments.setdefault(block, [])
        if progress.env_steps > self._learning_starts or not moments:
            moments.append((progress.seconds, progress.env_steps))

    def finished(self, block: int) -> None:
        """Note the end of a block."""
        self._ended.add(block)

    def records(self, block: int, records: list[dict[str, Any]]) -> None:
        """Ignore the records of a block."""

    def learned_for(self, seconds: float) -> bool:
        """Return whether every block has learned for so long, or is at its end."""
        enough = {
            block
            for block, moments in self._moments.items()
            if len(moments) > 1 and moments[-1][0] - moments[1][0] >= seconds
        }
        return len(enough | self._ended) >= self._blocks

    @property
    def seconds_per_step(self) -> float:
        """Time per environment step of the slowest block while it learned.

        It is the median over the moments, so that the first record, which compiles too, does not count.
        """
        return max(_median_rate(moments) for moments in self._moments.values())

    @property
    def steps(self) -> int:
        """Environment steps of the block that has come furthest."""
        return max(moments[-1][1] for moments in self._moments.values())


def _median_rate(moments: list[tuple[float, int]]) -> float:
    """Return the median time per environment step from one moment of learning to the next."""
    pairs = [(a, b) for a, b in itertools.pairwise(moments[1:]) if b[1] > a[1]]
    seconds, steps = moments[-1]
    return statistics.median((b[0] - a[0]) / (b[1] - a[1]) for a, b in pairs) if pairs else seconds / steps


def run_trial(config: Config, workers: int, evaluation: Span | None = None) -> Trial:
    """Train one block per worker with the first settings of `config` for `TRIAL_SECONDS`, and play an evaluation.

    None is played if it is known what one takes: `evaluation`.
    """
    short = _one_block_each(config, workers)
    log = LearningLog(config.learning_starts, len(short.blocks()))
    with tempfile.TemporaryDirectory(prefix="softstep-trial-") as folder:
        run = runs.train(
            short, Path(folder) / "run", workers=workers, view=log, should_stop=lambda: log.learned_for(TRIAL_SECONDS)
        )
        if evaluation is None:
            evaluation = _evaluation_span(run) if config.eval_every else Span(0.0, 0.0)
    replay_growth = _replay_megabytes(config, config.total_steps) - _replay_megabytes(config, log.steps)
    return Trial(log.seconds_per_step, evaluation, _peak_child_megabytes() + replay_growth)


def measure_start(config: Config) -> float:
    """Return the time of a population apart from learning: starting a worker, loading programs, and saving (seconds).

    Its compiled programs are cached after a trial of the same shape. The steps before the start of learning are part of
    it.
    """
    short = _one_block_each(config, 1)
    log = LearningLog(config.learning_starts, len(short.blocks()))
    with tempfile.TemporaryDirectory(prefix="softstep-trial-") as folder:
        started = time.perf_counter()
        runs.train(short, Path(folder) / "run", workers=1, view=log, should_stop=lambda: log.learned_for(0.0))
        return time.perf_counter() - started


def _one_block_each(config: Config, workers: int) -> Config:
    """Return the population with as many of its arms as make one block for each worker."""
    agents = min(config.num_agents, workers * config.width)
    return dataclasses.replace(config, arms=config.arms[: max(1, agents // config.seeds)])


@pinned()
def _evaluation_span(run: Run) -> Span:
    """Play evaluations with the trial's first block and return what one takes, without its compilation."""
    spec, config = envs.describe(run.config), run.config
    play = block_player(run.folder, spec, 0)
    play(config.eval_episodes, 0)
    started = time.perf_counter()
    played = play(config.eval_episodes, 1)
    seconds = time.perf_counter() - started
    limit = envs.longest_episode(spec)
    if limit is None:
        return Span(seconds, seconds)
    return evaluation_span(seconds, played, min(limit, config.eval_max_steps), compiled=spec.maker == "gymnax")


def evaluation_span(seconds: float, played: GreedyEpisodes, limit: int, *, compiled: bool) -> Span:
    """Return what an evaluation takes that took `seconds`: as it was, and if every episode has `limit` steps.

    A compiled one steps all environments until the last episode has ended, so the longest episode decides. On the host
    only the environments that are still playing are stepped, so the sum decides.
    """
    longest, total = int(played.lengths.max()), int(played.lengths.sum())
    growth = limit / longest if compiled else limit * played.lengths.size / total
    return Span(seconds, seconds * max(1.0, growth))


def _replay_megabytes(config: Config, steps: int) -> float:
    """Return the size of a block's replay after `steps` environment steps."""
    share = min(1, steps / (config.memory_size + config.steps_per_iteration))
    return share * replay_bytes(config, envs.describe(config)) / 1e6


def _peak_child_megabytes() -> float:
    """Return the peak memory of the largest child process so far."""
    return _megabytes(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def own_megabytes() -> float:
    """Return the peak memory of this process."""
    return _megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _megabytes(maxrss: int) -> float:
    """Convert `ru_maxrss`, which is in bytes on macOS and in kilobytes elsewhere."""
    return maxrss / (1e6 if sys.platform == "darwin" else 1e3)
