"""Forecast of a study's time and memory, from a short trial of every shape on this machine."""

from __future__ import annotations

import dataclasses
import itertools
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
from softstep.studies.agents import StudyAgent, study_agents
from softstep.studies.contenders import candidate_name
from softstep.studies.populations import pack_populations
from softstep.studies.spec import Spec
from softstep.training.replay_rows import replay_bytes

TRIAL_SHARE = 0.04
"""Share of a run's environment steps that a trial takes."""
MIN_TRIAL_STEPS = 4_000
"""Fewest environment steps of a trial after the start of learning."""
START_SECONDS = 4.0
"""Time from the start of a population to its first step, with cached compiled programs."""


class Forecast(NamedTuple):
    """What a study takes."""

    agents: int
    populations: int
    agent_steps: int
    """Environment steps of all agents together."""
    seconds: float
    megabytes: float
    """Peak memory of all processes together."""
    stages: tuple[float, ...]
    """Time of each stage (seconds): one of a grid; candidates and winners of a study with contenders."""

    def table_rows(self) -> Sequence[tuple[str, str]]:
        """Return names and values for the terminal."""
        stages = zip(("candidates", "winners"), self.stages, strict=True) if len(self.stages) == 2 else ()
        return [
            ("agents", str(self.agents)), ("populations", str(self.populations)),
            ("agent-steps", f"{self.agent_steps:.3g}"), ("time", _time(self.seconds)),
            *((f"  {name}", _time(seconds)) for name, seconds in stages),
            ("memory", f"{self.megabytes / 1000:.1f} GB"),
        ]  # fmt: skip


def _time(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"


class _ProgressLog:
    """A view of a run that logs the progress of every block."""

    def __init__(self) -> None:
        self._moments: dict[int, list[tuple[float, int]]] = {}

    def update(self, block: int, progress: Progress) -> None:
        """Log (seconds, environment steps) of a block."""
        self._moments.setdefault(block, []).append((progress.seconds, progress.env_steps))

    def finished(self, block: int) -> None:
        """Ignore the end of a block."""

    def records(self, block: int, records: list[dict[str, Any]]) -> None:
        """Ignore the records of a block."""

    def seconds_per_step(self, after: int) -> float:
        """Return the time per environment step of the slowest block, once it has taken `after` steps."""
        rates = []
        for moments in self._moments.values():
            late = [moment for moment in moments if moment[1] >= after] or moments
            (t0, s0), (t1, s1) = late[0], late[-1]
            rates.append((t1 - t0) / (s1 - s0) if s1 > s0 else t1 / s1)
        return max(rates)


class _Trial(NamedTuple):
    """What a trial of one shape measured."""

    step_seconds: float
    """Time that a block takes for one environment step of each of its agents."""
    evaluation_seconds: float
    """Time that a block takes for one evaluation."""
    megabytes: float
    """Peak memory of a worker, with a full replay."""


def forecast_study(spec: Spec, workers: int | None = None) -> Forecast:
    """Forecast a study: run a trial of every shape in a temporary folder, one block per worker, and extrapolate.

    Evaluations are assumed to last as long as those of the trial's agents, which have hardly learned anything yet.
    """
    num_workers = workers or worker_env.cores()
    stages = [pack_populations(spec, agents) for agents in _stages(spec)]
    trials: dict[str, _Trial] = {}
    stage_seconds, megabytes = [0.0 for _ in stages], 0.0
    for stage, config in ((stage, config) for stage, populations in enumerate(stages) for config in populations):
        shape = dataclasses.replace(config, arms=(), seed=0, seeds=1).content_hash()
        if shape not in trials:
            trials[shape] = _run_trial(config, num_workers)
        trial = trials[shape]
        busy_workers = min(num_workers, len(config.blocks()))
        stage_seconds[stage] += _population_seconds(config, trial, busy_workers)
        megabytes = max(megabytes, _own_megabytes() + busy_workers * trial.megabytes)
    populations = list(itertools.chain.from_iterable(stages))
    agents = sum(config.num_agents for config in populations)
    agent_steps = sum(config.num_agents * config.total_steps for config in populations)
    return Forecast(agents, len(populations), agent_steps, sum(stage_seconds), megabytes, tuple(stage_seconds))


def _stages(spec: Spec) -> list[list[StudyAgent]]:
    """Return the agents of every stage; the first candidate of each contender stands for the winner, still unknown."""
    winners = [candidate_name(name, 1) for name in spec.contenders]
    judging = [StudyAgent(cell, seed) for cell in winners for seed in spec.judging_seeds]
    return [study_agents(spec), judging] if winners else [study_agents(spec)]


def _population_seconds(config: Config, trial: _Trial, busy_workers: int) -> float:
    """Return the time of a population, whose workers take turns with its blocks."""
    evaluations = config.total_steps // config.eval_every if config.eval_every else 0
    block_seconds = config.total_steps * trial.step_seconds + evaluations * trial.evaluation_seconds
    return START_SECONDS + -(-len(config.blocks()) // busy_workers) * block_seconds


def _run_trial(config: Config, workers: int) -> _Trial:
    """Train one block per worker for a short time and measure it."""
    steps = min(
        config.total_steps, config.learning_starts + max(MIN_TRIAL_STEPS, round(TRIAL_SHARE * config.total_steps))
    )
    agents = min(config.num_agents, workers * config.width)
    short = dataclasses.replace(
        config, arms=config.arms[: max(1, agents // config.seeds)], total_steps=steps,
        eval_every=min(config.eval_every, steps), record_every=max(1, steps // 50),
    )  # fmt: skip
    log = _ProgressLog()
    with tempfile.TemporaryDirectory(prefix="softstep-trial-") as folder:
        summary = runs.train(short, Path(folder) / "run", workers=workers, view=log).summary
    evaluations = max(1, steps // short.eval_every) if short.eval_every else 1
    evaluation_seconds = max(block["eval_seconds"] for block in summary["blocks"]) / evaluations
    replay_growth = _replay_megabytes(config, config.total_steps) - _replay_megabytes(config, steps)
    return _Trial(
        log.seconds_per_step((config.learning_starts + steps) // 2),
        evaluation_seconds,
        _peak_child_megabytes() + replay_growth,
    )


def _replay_megabytes(config: Config, steps: int) -> float:
    """Return the size of a block's replay after `steps` environment steps."""
    share = min(1, steps / (config.memory_size + config.steps_per_iteration))
    return share * replay_bytes(config, envs.describe(config)) / 1e6


def _peak_child_megabytes() -> float:
    """Return the peak memory of the largest child process so far."""
    return _megabytes(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def _own_megabytes() -> float:
    return _megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _megabytes(maxrss: int) -> float:
    """Convert `ru_maxrss`, which is in bytes on macOS and in kilobytes elsewhere."""
    return maxrss / (1e6 if sys.platform == "darwin" else 1e3)
