"""What became of every agent and of every cell of a study."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from softstep import stats
from softstep.studies.spec import Spec
from softstep.target import TargetUpdate

if TYPE_CHECKING:
    import polars as pl


def agents(frame: pl.DataFrame, spec: Spec, threshold: float | None = None) -> pl.DataFrame:
    """One row per agent of the study's table, in its order.

    final_return: mean of the last ⌈10 %⌉ of its evaluations; the floor where it ends diverged or has none.
    solved_at: environment steps at the second of two evaluations in a row at `threshold` or above; null if never.
    y_drift: median over its records, in units of y. alpha, c, period and gamma: its own.
    """
    import polars as pl

    evaluated = pl.col("eval_return").is_finite()
    returns, steps = pl.col("eval_return").filter(evaluated), pl.col("env_steps").filter(evaluated)
    good = returns >= (math.inf if threshold is None else threshold)
    gamma = "gamma" if "gamma" in frame.columns else pl.lit(spec.base.gamma).alias("gamma")
    found = frame.group_by("cell", "seed", maintain_order=True).agg(
        pl.col("learning_rate").first().alias("alpha"),
        pl.col("c").first(),
        pl.col("period").first(),
        *([] if isinstance(gamma, pl.Expr) else [pl.col("gamma").first()]),
        returns.tail((returns.len() + 9) // 10).mean().alias("final_return"),
        steps.filter(good & good.shift(1, fill_value=False)).first().alias("solved_at"),
        pl.col("diverged").last(),
        pl.col("y_drift").filter(pl.col("y_drift").is_finite()).median(),
        pl.col("env_steps").last(),
    )
    if isinstance(gamma, pl.Expr):
        found = found.with_columns(gamma)
    floor = spec.declared.floor
    score = pl.when(pl.col("diverged") | pl.col("final_return").is_null()).then(floor).otherwise("final_return")
    return found.with_columns(final_return=score)


def cells(each: pl.DataFrame) -> pl.DataFrame:
    """One row per cell: mean score with its 95 % interval (Student's t), shares solved and diverged (exact intervals),
    restricted mean time to solve, median y-drift, half-life and mean lag of its target."""
    import polars as pl

    rows = []
    for (name,), group in each.group_by("cell", maintain_order=True):
        scores, diverged = group["final_return"].to_numpy(), int(group["diverged"].sum())
        budget = float(np.max(group["env_steps"].to_numpy()))
        times = group["solved_at"].cast(float).fill_null(math.nan).to_numpy()
        low, high = stats.mean_interval(scores)
        update = TargetUpdate(1 - group["c"][0], group["period"][0])
        rows.append(
            {
                "cell": name, "alpha": group["alpha"][0], "c": group["c"][0], "period": group["period"][0],
                "gamma": group["gamma"][0], "half_life": update.half_life, "mean_lag": update.mean_lag,
                "seeds": group.height, "mean": float(scores.mean()), "low": low, "high": high,
                "sd": float(scores.std(ddof=1)) if len(scores) > 1 else math.nan,
                "solved": int(np.isfinite(times).sum()),
                "time_to_solve": stats.restricted_mean(times, np.isfinite(times), budget),
                "diverged": diverged, "diverged_low": stats.exact_interval(diverged, group.height)[0],
                "diverged_high": stats.exact_interval(diverged, group.height)[1],
                "y_drift": float(group["y_drift"].median() or math.nan),  # type: ignore[arg-type]
            }
        )  # fmt: skip
    return pl.DataFrame(rows)
