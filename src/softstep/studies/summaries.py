"""Summaries of a study's table: one row per agent, per cell, per contender and per candidate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from softstep import stats
from softstep.studies.contenders import candidate_name
from softstep.studies.grid import cell_name
from softstep.studies.metrics import METRICS
from softstep.studies.spec import Spec
from softstep.studies.winners import Winner
from softstep.target import TargetUpdate

if TYPE_CHECKING:
    import polars as pl

FRESH_COLUMNS = ("fresh_return", "fresh_low", "fresh_high", "fresh_agents")
"""Columns of `fresh_summary`."""


def summarize_agents(table: pl.DataFrame, spec: Spec, threshold: float | None = None) -> pl.DataFrame:
    """Return one row per agent of the study's table, in its order.

    Args:
        table: one row per agent and record (`table.gather_table`).
        spec: the study's spec.
        threshold: return at which an agent counts as having solved its environment; None if there is none.

    Returns:
        Columns cell, seed, alpha, c, period and gamma;
        final_return: mean of the last ⌈10 %⌉ of the agent's evaluations; the floor if it ends diverged or has none;
        mean_return, best_return: mean and maximum of all its evaluations, one after divergence counting as the floor;
            the floor if it has none;
        solved_at: environment steps at the second of two evaluations in a row at `threshold` or above; null if never;
        diverged: whether it ends diverged;
        y_drift: median over its records, in units of y;
        env_steps: at its last record.
    """
    import polars as pl

    evaluated = pl.col("eval_return").is_finite()
    returns, steps = pl.col("eval_return").filter(evaluated), pl.col("env_steps").filter(evaluated)
    above_threshold = returns >= (math.inf if threshold is None else threshold)
    has_gamma = "gamma" in table.columns
    kept = pl.when(pl.col("diverged")).then(spec.criteria.floor).otherwise("eval_return").filter(evaluated)
    agents = table.group_by("cell", "seed", maintain_order=True).agg(
        pl.col("learning_rate").first().alias("alpha"),
        pl.col("c").first(),
        pl.col("period").first(),
        *([pl.col("gamma").first()] if has_gamma else []),
        returns.tail((returns.len() + 9) // 10).mean().alias("final_return"),
        kept.mean().alias("mean_return"),
        kept.max().alias("best_return"),
        steps.filter(above_threshold & above_threshold.shift(1, fill_value=False)).first().alias("solved_at"),
        pl.col("diverged").last(),
        pl.col("y_drift").filter(pl.col("y_drift").is_finite()).median(),
        pl.col("env_steps").last(),
    )
    gamma = pl.col("gamma").fill_null(spec.base.gamma) if has_gamma else pl.lit(spec.base.gamma)
    has_no_return = pl.col("diverged") | pl.col("final_return").is_null()
    score = pl.when(has_no_return).then(spec.criteria.floor).otherwise("final_return")
    return agents.with_columns(
        gamma.alias("gamma"), pl.col("mean_return", "best_return").fill_null(spec.criteria.floor), final_return=score
    )


def summarize_cells(agents: pl.DataFrame) -> pl.DataFrame:
    """Return one row per cell of the agents' table of `summarize_agents`.

    Returns:
        Columns cell, alpha, c, period and gamma, the half-life and mean lag of the target in gradient steps, seeds;
        mean, low, high, sd: of the final returns, with a 95 % interval (Student's t);
        solved, diverged: numbers of agents; diverged_low, diverged_high: exact interval of the share;
        time_to_solve: restricted mean in environment steps;
        y_drift: median over agents;
        those of `fresh_summary`, if the table has best checkpoints (`best_checkpoints.with_best_checkpoints`).
    """
    import polars as pl

    groups = agents.group_by("cell", maintain_order=True)
    return pl.DataFrame([_cell_summary(str(name), group) for (name,), group in groups])


def _cell_summary(name: str, agents: pl.DataFrame) -> dict[str, Any]:
    returns, diverged = agents["final_return"].to_numpy(), int(agents["diverged"].sum())
    budget = float(np.max(agents["env_steps"].to_numpy()))
    times = agents["solved_at"].cast(float).fill_null(math.nan).to_numpy()
    low, high = stats.mean_interval(returns)
    diverged_low, diverged_high = stats.exact_interval(diverged, agents.height)
    target = TargetUpdate(1 - agents["c"][0], agents["period"][0])
    return {
        "cell": name, "alpha": agents["alpha"][0], "c": agents["c"][0], "period": agents["period"][0],
        "gamma": agents["gamma"][0], "half_life": target.half_life, "mean_lag": target.mean_lag,
        "seeds": agents.height, "mean": float(returns.mean()), "low": low, "high": high,
        "sd": float(returns.std(ddof=1)) if len(returns) > 1 else math.nan,
        "solved": int(np.isfinite(times).sum()),
        "time_to_solve": stats.restricted_mean(times, np.isfinite(times), budget),
        "diverged": diverged, "diverged_low": diverged_low, "diverged_high": diverged_high,
        "y_drift": float(agents["y_drift"].median() or math.nan),  # type: ignore[arg-type]
        **fresh_summary(agents),
    }  # fmt: skip


def fresh_summary(agents: pl.DataFrame) -> dict[str, Any]:
    """Return the mean of the best checkpoints' returns on fresh episodes, over the agents for which it is known.

    Returns:
        fresh_return, fresh_low, fresh_high: mean and 95 % interval (Student's t); NaN where they are unknown;
        fresh_agents: number of agents. Nothing if the table has no best checkpoints.
    """
    if "fresh_return" not in agents.columns:
        return {}
    returns = agents["fresh_return"].drop_nulls().to_numpy()
    low, high = stats.mean_interval(returns) if len(returns) else (math.nan, math.nan)
    mean = float(returns.mean()) if len(returns) else math.nan
    return dict(zip(FRESH_COLUMNS, (mean, low, high, len(returns)), strict=True))


def summarize_contenders(agents: pl.DataFrame, spec: Spec, winners: Sequence[Winner]) -> pl.DataFrame:
    """Return one row per contender, of its winner on the judging seeds.

    Args:
        agents: the agents' table of `summarize_agents`.
        spec: the study's spec.
        winners: the winners of its contenders.

    Returns:
        Columns contender, candidate, settings (its knobs in words), selection_score;
        seeds, diverged: numbers of judging agents;
        mean, low, high: of the primary metric, with a 95 % interval (Student's t);
        the mean of every metric, under its name;
        those of `fresh_summary`, if the table has best checkpoints (`best_checkpoints.with_best_checkpoints`).
    """
    import polars as pl

    rows = []
    for winner in winners:
        judging = agents.filter((pl.col("cell") == winner.cell) & (pl.col("seed") >= spec.judging_seeds.start))
        means = {name: float(judging[name].mean()) if judging.height else math.nan for name in METRICS}  # type: ignore[arg-type]
        low, high = stats.mean_interval(judging[spec.metric].to_numpy()) if judging.height else (math.nan, math.nan)
        rows.append({
            "contender": winner.contender, "candidate": winner.candidate,
            "settings": cell_name(spec.named_cells()[winner.cell]), "selection_score": winner.score,
            "seeds": judging.height, "diverged": int(judging["diverged"].sum()),
            "mean": means[spec.metric], "low": low, "high": high, **means, **fresh_summary(judging),
        })  # fmt: skip
    return pl.DataFrame(rows)


def summarize_candidates(spec: Spec, winners: Sequence[Winner]) -> pl.DataFrame:
    """Return one row per candidate: contender, candidate, settings, and its score on the selection seeds."""
    import polars as pl

    cells = spec.named_cells()
    return pl.DataFrame([
        {"contender": winner.contender, "candidate": number,
         "settings": cell_name(cells[candidate_name(winner.contender, number)]), "selection_score": score}
        for winner in winners for number, score in enumerate(winner.scores, 1)
    ])  # fmt: skip
