"""The best checkpoints of a run judged on fresh episodes: what an agent is worth if its best weights are kept.

The return of an agent's best evaluation is the highest of many and so biased upwards. The same weights on episodes that
no evaluation has used have no such bias.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from softstep.errors import ConfigError, StoreError
from softstep.jax_settings.pinned import pinned
from softstep.learner.algorithms import make_acting_network
from softstep.policies.evaluation import play_block
from softstep.policies.policy import describe_environment, read_best
from softstep.runs import checkpoints, run_folder
from softstep.runs.api import Run, check_trust
from softstep.runs.best_returns import BestReturn, BestReturns, read_best_returns, write_best_returns
from softstep.studies.best_checkpoints import best_returns_table, judged_agents
from softstep.studies.run_study import Study
from softstep.training.program_cache import ProgramCache

if TYPE_CHECKING:
    import polars as pl

REJUDGING_SEED = 500_000
"""Seed of `evaluate` whose held-out episodes are played: far from those that users choose."""


@pinned()
def best_returns(run: Run | Path | str, episodes: int | None = None, *, trusted: Sequence[str] = ()) -> BestReturns:
    """Return what the best checkpoint of every agent earns on fresh episodes, which are the same for all agents.

    The result is stored in the run folder. It is measured again only if the run has gone on since then or if
    `episodes` differs. With the default it costs as much as one evaluation in training.

    Args:
        run: the run, finished or not, or its folder.
        episodes: episodes of each agent; None takes as many as an evaluation in training (`eval_episodes`).
        trusted: the modules that the run's configuration names, if any, repeated.

    Raises:
        EnvironmentFailed: the environment raised.
        StoreError: the run has no checkpoint at all, or has kept no best ones.
        ConfigError: `episodes` is below 1, or `trusted` lacks a module that the run's configuration names.
    """
    folder = run_folder.open_run(run.path if isinstance(run, Run) else run)
    check_trust(folder.config, trusted)
    episodes = folder.config.eval_episodes if episodes is None else episodes
    if episodes < 1:
        raise ConfigError(f"episodes = {episodes} must be at least 1")
    blocks = [block for block, steps in enumerate(checkpoints.steps_reached(folder)) if steps > 0]
    if not blocks:
        raise StoreError(f"{folder.path} has no checkpoint yet: train it first")
    spec, started = describe_environment(folder), time.perf_counter()
    network = make_acting_network(folder.config, spec.observation_size, spec.num_actions)
    agents = [
        BestReturn(
            agent.arm, agent.seed, int(best.env_steps[slot]),
            float(best.eval_return[slot]) if np.isfinite(best.eval_return[slot]) else math.nan, math.nan,
        )
        for block in blocks
        for best in [read_best(folder, network, block)]
        for slot, agent in enumerate(folder.config.blocks()[block])
    ]  # fmt: skip
    stored = read_best_returns(folder)
    if stored is not None and stored.episodes == episodes and _same_checkpoints(stored, agents):
        return stored
    cache = ProgramCache()
    played = [
        play_block(folder, spec, block, episodes, REJUDGING_SEED, best=True, cache=cache).returns for block in blocks
    ]
    means = np.concatenate([np.asarray(returns) for returns in played]).mean(1)
    agents = [agent._replace(fresh_return=float(mean)) for agent, mean in zip(agents, means, strict=True)]
    best = BestReturns(tuple(agents), episodes, time.perf_counter() - started)
    write_best_returns(folder, best)
    return best


def study_best_returns(
    study: Study | Path | str,
    episodes: int | None = None,
    *,
    every_agent: bool = False,
    trusted: Sequence[str] = (),
) -> pl.DataFrame:
    """Return what the best checkpoints of a study's finished agents earn on fresh episodes.

    Of a study with contenders only the winners are played, on the judging seeds. Every run of the study stores its own
    result, as with `best_returns`, so that a second call plays nothing and the study's report shows it. Agents that the
    study has adopted have no weights here, and so no row.

    Args:
        study: the study, finished or not, or its folder.
        episodes: as for `best_returns`.
        every_agent: play the candidates on the selection seeds as well.
        trusted: as for `best_returns`.

    Returns:
        Columns cell, seed, env_steps, eval_return, fresh_return (`BestReturn`) and episodes, in the order of the grid.

    Raises:
        EnvironmentFailed, StoreError, ConfigError: as `best_returns`.
    """
    study = study if isinstance(study, Study) else Study(Path(study))
    agents = study.agents if every_agent else judged_agents(study)
    progress = study.progress
    adopted = len(set(agents) & set(progress.adopted))
    if adopted:
        warnings.warn(
            f"{adopted} of {len(agents)} agents were adopted without their weights: their best checkpoints are judged"
            " where they were trained",
            RuntimeWarning,
            stacklevel=2,
        )
    folders = {progress.trained[agent].path for agent in agents if agent in progress.trained}
    measured = {path: best_returns(path, episodes, trusted=trusted) for path in sorted(folders)}
    return best_returns_table(agents, progress.trained, measured)


def _same_checkpoints(stored: BestReturns, agents: Sequence[BestReturn]) -> bool:
    """Return whether stored results are of these best checkpoints."""
    keys = [[(of.arm, of.seed, of.env_steps, str(of.eval_return)) for of in side] for side in (stored.agents, agents)]
    return keys[0] == keys[1]
