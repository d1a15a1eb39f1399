"""The best checkpoints of a study's agents: what they earn on fresh episodes, where somebody has measured it.

This is a secondary metric: it is reported beside the primary one, and no claim is judged on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from softstep.runs.best_returns import BestReturns, current_best_returns
from softstep.runs.run_folder import RunFolder
from softstep.stats import paired_difference
from softstep.studies.agents import StudyAgent
from softstep.studies.judge import StudyVerdict, judging_values, paired_values
from softstep.studies.run_study import Study
from softstep.studies.spec import Spec

if TYPE_CHECKING:
    import polars as pl

_COLUMNS = {
    "cell": str, "seed": int, "env_steps": int, "eval_return": float, "fresh_return": float, "episodes": int,
}  # fmt: skip


def judged_agents(study: Study) -> list[StudyAgent]:
    """Return the agents of a study that represent it: the winners on the judging seeds, or all agents of a grid."""
    if not study.spec.contenders:
        return study.agents
    winners = {winner.cell for winner in study.winners}
    return [agent for agent in study.agents if agent.cell in winners and agent.seed in study.spec.judging_seeds]


def best_returns_table(
    agents: Sequence[StudyAgent], trained: Mapping[StudyAgent, RunFolder], measured: Mapping[Path, BestReturns]
) -> pl.DataFrame:
    """Return one row for each of the `agents` that has been measured, in their order.

    Args:
        agents: agents of a study.
        trained: the run that each trained agent is in.
        measured: results of runs by the path of their folder.

    Returns:
        Columns cell, seed, env_steps, eval_return, fresh_return (`BestReturn`) and episodes.
    """
    import polars as pl

    found = {
        (path, agent.arm, agent.seed): (*agent[2:], best.episodes)
        for path, best in measured.items()
        for agent in best.agents
    }
    keys = [(agent, (trained[agent].path, *agent)) for agent in agents if agent in trained]
    rows = [(*agent, *found[key]) for agent, key in keys if key in found]
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def measured_best_returns(study: Study) -> pl.DataFrame:
    """Return the best returns of `judged_agents` that are stored in the study's folder; nothing is played.

    The result is a table of `best_returns_table`. Only results with the highest number of episodes count, so that all
    rows have the same episodes.
    """
    import polars as pl

    agents, trained = judged_agents(study), study.progress.trained
    folders = {trained[agent].path: trained[agent] for agent in agents if agent in trained}
    stored = {path: current_best_returns(folder) for path, folder in folders.items()}
    table = best_returns_table(agents, trained, {path: best for path, best in stored.items() if best is not None})
    return table.filter(pl.col("episodes") == pl.col("episodes").max())


def with_best_checkpoints(agents: pl.DataFrame, best: pl.DataFrame | None, spec: Spec) -> pl.DataFrame:
    """Return the table of agents with what their best checkpoints are worth, where that has been measured.

    Args:
        agents: the agents' table of `summaries.summarize_agents`.
        best: rows of `best_returns_table`; None or an empty table returns `agents` unchanged.
        spec: the study's spec.

    Returns:
        `agents` with the columns best_steps (environment steps of the best checkpoint; 0 without one), fresh_return
        (the mean return of its weights on fresh episodes; the floor without one) and fresh_episodes, null where
        nothing was measured.
    """
    import polars as pl

    if best is None or not best.height:
        return agents
    columns = best.select(
        "cell",
        "seed",
        best_steps="env_steps",
        fresh_return=pl.col("fresh_return").fill_nan(spec.criteria.floor),
        fresh_episodes="episodes",
    )
    return agents.join(columns, on=["cell", "seed"], how="left", maintain_order="left")


class SecondaryDifference(NamedTuple):
    """The difference between the two sides of a claim in a secondary metric, on which no claim is judged."""

    claim: str
    first: str
    """Cell of the first side, as for the verdict on the claim."""
    second: str
    estimate: float
    """Mean difference, first − second, paired by judging seed."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    n: int
    """Number of pairs of seeds."""


def best_checkpoint_differences(
    agents: pl.DataFrame, spec: Spec, judged: Sequence[StudyVerdict]
) -> list[SecondaryDifference]:
    """Return the differences between the best checkpoints of each claim's sides on fresh episodes.

    Args:
        agents: the table of `with_best_checkpoints`.
        spec: the study's spec.
        judged: the verdicts on the claims, which say which cells stand for their sides.

    Returns:
        One for each claim with a measured pair of seeds. p is left out on purpose: these are no tests.
    """
    if "fresh_return" not in agents.columns:
        return []
    differences = []
    for verdict in judged:
        sides = (judging_values(agents, spec, cell, "fresh_return") for cell in (verdict.first, verdict.second))
        paired = paired_difference(*paired_values(*sides))
        if paired.n:
            differences.append(SecondaryDifference(
                verdict.claim, verdict.first, verdict.second, paired.estimate, paired.low, paired.high, paired.n
            ))  # fmt: skip
    return differences
