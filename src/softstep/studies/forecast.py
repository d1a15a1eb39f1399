"""What a study would take, from a short trial of every shape on this machine."""

from __future__ import annotations

import dataclasses
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from softstep import envs
from softstep.config import Config
from softstep.records.events import Progress
from softstep.runs import api as runs
from softstep.runs import worker_env
from softstep.studies.agents import members
from softstep.studies.populations import parts
from softstep.studies.spec import Spec
from softstep.transition import row_width

SHARE = 0.04
"""Part of a run that is tried."""
FEWEST = 4_000
"""Environment steps of a trial, after the start of learning."""
START_SECONDS = 4.0
"""From the start of a population to its first step, with compiled programs at hand."""


class Forecast(NamedTuple):
    """What a study takes."""

    agents: int
    populations: int
    agent_steps: int
    """Environment steps of all agents together."""
    seconds: float
    megabytes: float
    """At the peak, of all processes together."""

    def in_words(self) -> Sequence[tuple[str, str]]:
        """For the terminal."""
        hours, minutes = divmod(round(self.seconds / 60), 60)
        time = f"{hours} h {minutes:02} min" if hours else f"{minutes} min" if minutes else f"{self.seconds:.0f} s"
        return [
            ("agents", str(self.agents)), ("populations", str(self.populations)),
            ("agent-steps", f"{self.agent_steps:.3g}"), ("time", time), ("memory", f"{self.megabytes / 1000:.1f} GB"),
        ]  # fmt: skip


class _Clock:
    """Notes when each block stood where."""

    def __init__(self) -> None:
        self.seen: dict[int, list[tuple[float, int]]] = {}

    def update(self, block: int, progress: Progress) -> None:
        """A block has moved on."""
        self.seen.setdefault(block, []).append((progress.seconds, progress.env_steps))

    def finished(self, block: int) -> None:
        """Nothing."""

    def records(self, block: int, records: list[dict[str, Any]]) -> None:
        """Nothing."""

    def seconds_per_step(self, after: int) -> float:
        """Of a block, once it has `after` environment steps behind it: the slowest block's."""
        found = []
        for moments in self.seen.values():
            late = [moment for moment in moments if moment[1] >= after] or moments
            (t0, s0), (t1, s1) = late[0], late[-1]
            found.append((t1 - t0) / (s1 - s0) if s1 > s0 else t1 / s1)
        return max(found)


class _Trial(NamedTuple):
    """One shape, tried."""

    step: float
    """Seconds that a block takes for an environment step of each of its agents."""
    evaluation: float
    """Seconds that a block takes for an evaluation."""
    megabytes: float
    """Of a worker at the peak, its replay full."""


def forecast_study(spec: Spec, workers: int | None = None) -> Forecast:
    """Try a block per worker of every shape, in a folder that is deleted; count the rest.

    Evaluations are counted as long as those of the trial's agents, which hardly know anything yet.
    """
    count = workers or worker_env.cores()
    populations = parts(spec, members(spec))
    tried: dict[str, _Trial] = {}
    seconds = megabytes = 0.0
    for config in populations:
        shape = dataclasses.replace(config, arms=(), seed=0, seeds=1).content_hash()
        trial = tried.get(shape) or _try(config, count)
        tried[shape] = trial
        blocks, busy = len(config.blocks()), min(count, len(config.blocks()))
        evaluations = config.total_steps // config.eval_every if config.eval_every else 0
        each = config.total_steps * trial.step + evaluations * trial.evaluation
        seconds += START_SECONDS + -(-blocks // busy) * each
        megabytes = max(megabytes, _own_megabytes() + busy * trial.megabytes)
    agents = sum(config.num_agents for config in populations)
    return Forecast(agents, len(populations), agents * spec.base.total_steps, seconds, megabytes)


def _try(config: Config, workers: int) -> _Trial:
    steps = min(config.total_steps, config.learning_starts + max(FEWEST, round(SHARE * config.total_steps)))
    agents = min(config.num_agents, workers * config.width)
    short = dataclasses.replace(
        config, arms=config.arms[: max(1, agents // config.seeds)], total_steps=steps,
        eval_every=min(config.eval_every, steps), record_every=max(1, steps // 50),
    )  # fmt: skip
    clock = _Clock()
    with tempfile.TemporaryDirectory(prefix="softstep-trial-") as folder:
        summary = runs.train(short, Path(folder) / "run", workers=workers, view=clock).summary
    evaluations = max(1, steps // short.eval_every) if short.eval_every else 1
    blocks = [block["eval_seconds"] for block in summary["blocks"]]
    return _Trial(
        clock.seconds_per_step((config.learning_starts + steps) // 2),
        max(blocks) / evaluations,
        _most_megabytes() + _replay_megabytes(config, config.total_steps) - _replay_megabytes(config, steps),
    )


def _replay_megabytes(config: Config, steps: int) -> float:
    """What a block's replay holds after so many steps."""
    rows = min(steps, config.memory_size + config.steps_per_iteration)
    return config.width * rows * row_width(envs.describe(config).observation_size) * 4 / 1e6


def _most_megabytes() -> float:
    """The most that any child process has held."""
    return _megabytes(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def _own_megabytes() -> float:
    return _megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _megabytes(maxrss: int) -> float:
    return maxrss / (1e6 if sys.platform == "darwin" else 1e3)
