"""Forecast of a study's time and memory, from a short trial of every shape on this machine."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Sequence
from typing import NamedTuple

from softstep.config import Config
from softstep.files import canonical_json
from softstep.runs import worker_env
from softstep.studies.agents import StudyAgent, study_agents
from softstep.studies.contenders import candidate_name
from softstep.studies.populations import pack_populations
from softstep.studies.spec import Spec
from softstep.studies.trial import Span, Trial, measure_start, own_megabytes, run_trial

_DATA = frozenset({"arms", "seed", "seeds", "learning_rate_decay", "learning_rate_decay_steps"})
"""Fields that no compiled program depends on; the schedule of α is computed before the program that takes it."""

_LEARNING_ALONE = frozenset({
    "batch_size", "double_q", "gradient_steps", "loss", "max_grad_norm", "memory_size", "n_step", "optimizer",
    "optimizer_options", "reward_scale", "target_scope", "train_every",
})  # fmt: skip
"""Fields on which a gradient step depends and an evaluation does not."""


class Forecast(NamedTuple):
    """What a study takes."""

    agents: int
    populations: int
    agent_steps: int
    """Environment steps of all agents together."""
    seconds: float
    """Time of the study, if evaluations take the mean of the two ends below."""
    shortest: float
    """Time if evaluations last as long as those of agents that have hardly learned (seconds)."""
    longest: float
    """Time if every episode of an evaluation is as long as the environment allows (seconds)."""
    megabytes: float
    """Peak memory of all processes together."""
    stages: tuple[float, ...]
    """Time of each stage (seconds): one of a grid; candidates and winners of a study with contenders."""

    def table_rows(self) -> Sequence[tuple[str, str]]:
        """Return names and values for the terminal."""
        stages = zip(("candidates", "winners"), self.stages, strict=True) if len(self.stages) == 2 else ()
        ends = f"{_time(self.shortest)} to {_time(self.longest)}, as evaluations are short or long"
        return [
            ("agents", str(self.agents)), ("populations", str(self.populations)),
            ("agent-steps", f"{self.agent_steps:.3g}"), ("time", f"{_time(self.seconds)} ({ends})"),
            *((f"  {name}", _time(seconds)) for name, seconds in stages),
            ("memory", f"{self.megabytes / 1000:.1f} GB"),
        ]  # fmt: skip


def _time(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"


def forecast_study(spec: Spec, workers: int | None = None) -> Forecast:
    """Forecast a study: run a trial of every shape in a temporary folder, one block per worker, and extrapolate.

    The trials compile the programs of every shape and keep them on disk, where the study finds them: every population
    then only starts its workers and loads them. Shapes that differ in learning alone share a measured evaluation. How
    long evaluations last depends on what agents learn, so the time has two ends.
    """
    num_workers = workers or worker_env.cores()
    stages = [pack_populations(spec, agents) for agents in _stages(spec)]
    populations = list(itertools.chain.from_iterable(stages))
    trials = _run_trials(populations, num_workers)
    start_seconds = measure_start(populations[0])
    times = [[_population_span(config, trials[_shape(config)], start_seconds, num_workers) for config in stage]
             for stage in stages]  # fmt: skip
    ends = list(itertools.chain.from_iterable(times))
    worker_megabytes = max(
        min(num_workers, len(config.blocks())) * trials[_shape(config)].megabytes for config in populations
    )
    return Forecast(
        agents=sum(config.num_agents for config in populations),
        populations=len(populations),
        agent_steps=sum(config.num_agents * config.total_steps for config in populations),
        seconds=sum(span.middle for span in ends),
        shortest=sum(span.low for span in ends),
        longest=sum(span.high for span in ends),
        megabytes=own_megabytes() + worker_megabytes,
        stages=tuple(sum(span.middle for span in stage) for stage in times),
    )


def _stages(spec: Spec) -> list[list[StudyAgent]]:
    """Return the agents of every stage; the first candidate of each contender stands for the winner, still unknown."""
    winners = [candidate_name(name, 1) for name in spec.contenders]
    judging = [StudyAgent(cell, seed) for cell in winners for seed in spec.judging_seeds]
    return [study_agents(spec), judging] if winners else [study_agents(spec)]


def _shape(config: Config) -> str:
    """Return what the compiled programs of a population depend on."""
    return _without(config, _DATA)


def _without(config: Config, names: Collection[str]) -> str:
    """Return a configuration without some of its fields, as text."""
    return canonical_json({name: value for name, value in json.loads(config.to_json()).items() if name not in names})


def _run_trials(populations: Sequence[Config], workers: int) -> dict[str, Trial]:
    """Run a trial of every shape among the populations; shapes that act alike share one measured evaluation."""
    trials, evaluations = dict[str, Trial](), dict[str, Span]()
    for config in populations:
        if _shape(config) not in trials:
            acting = _without(config, _DATA | _LEARNING_ALONE)
            trial = run_trial(config, workers, evaluations.get(acting))
            evaluations[acting], trials[_shape(config)] = trial.evaluation, trial
    return trials


def _population_span(config: Config, trial: Trial, start_seconds: float, workers: int) -> Span:
    """Return the time of a population, whose workers take turns with its blocks."""
    blocks, evaluations = len(config.blocks()), config.total_steps // config.eval_every if config.eval_every else 0
    turns = -(-blocks // min(workers, blocks))
    low, high = (
        start_seconds + turns * (config.total_steps * trial.step_seconds + evaluations * seconds)
        for seconds in trial.evaluation
    )
    return Span(low, high)
