"""Numbers behind the comparison's figures: bands with intervals, scores by seed, steps until solved."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import polars as pl

from softstep.comparison.scores import ReturnCriteria, by_agent, final_return, return_criteria, values_of
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.report.shared.curves import Band, arms_of, finite_curves, on_common_grid
from softstep.stats import mean_intervals

REWARD_THRESHOLDS = {"LunarLander-v3": 200.0, "CartPole-v1": 475.0, "Acrobot-v1": -100.0, "MountainCar-v0": -110.0}
"""Mean return at which Gymnasium considers an environment solved, by id without its maker."""

MOVES = ("y_drift", "y_rms", "y_p99")
"""Columns on how far y moves in one update."""


def mean_band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean over seeds of values (S, R) and both ends of its 95 % interval (Student's t).

    The interval of a single seed is the mean itself.
    """
    mean = values.mean(0)
    return (mean, *mean_intervals(values)) if len(values) > 1 else (mean, mean, mean)


def interval_bands(curves: pl.DataFrame, column: str, *, geometric: bool = False) -> dict[str, Band]:
    """Return the mean of a column over seeds and its 95 % interval, by arm; steps are those of `curves.bands`.

    Args:
        curves: The run's table of curves.
        column: The column to average.
        geometric: Whether to average logarithms, over the records above 0.
    """
    kept = curves.filter(pl.col(column) > 0) if geometric else curves
    result = {}
    for arm, seeds in finite_curves(kept, column).items():
        grid, values = on_common_grid([(steps, np.log(v) if geometric else v) for steps, v in seeds])
        mean, low, high = (np.exp(end) if geometric else end for end in mean_band(values))
        result[arm] = Band(grid, mean, low, high, len(seeds))
    return result


def declared_or_none(config: Config, margin: float | None, floor: float | None) -> ReturnCriteria | None:
    """Return the margin and the floor of this environment, or None if either is unknown."""
    try:
        return return_criteria(config.env, margin, floor)
    except ConfigError:
        return None


def seed_scores(curves: pl.DataFrame, floor: float) -> pl.DataFrame:
    """Return one row per agent: arm, seed, final_return and diverged; a floor of NaN gives diverged agents no score."""
    rows = [
        (arm, seed, final_return(agent, floor), bool(agent["diverged"][-1]))
        for (arm, seed), agent in by_agent(curves).items()
    ]
    schema = {"arm": pl.String, "seed": pl.Int64, "final_return": pl.Float64, "diverged": pl.Boolean}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.sort(pl.col("arm").cast(pl.Enum(arms_of(curves))), "seed")


class Solved(NamedTuple):
    """When the seeds of an arm solved their environment."""

    arm: str
    steps: tuple[float, ...]
    """Environment steps of the seeds that solved it, ascending."""
    seeds: int
    end: int
    """Environment steps at the end of the run."""

    @property
    def median(self) -> float:
        """Environment steps until half of the seeds had solved it; NaN if fewer than half ever did."""
        half = math.ceil(self.seeds / 2)
        return self.steps[half - 1] if len(self.steps) >= half else math.nan


def threshold_of(env: str) -> float | None:
    """Return the environment's reward threshold, or None if it has none."""
    return REWARD_THRESHOLDS.get(env.rpartition(":")[2])


def solved(curves: pl.DataFrame, threshold: float) -> list[Solved]:
    """Return one entry per evaluated arm: an agent has solved at its second evaluation in a row ≥ `threshold`."""
    end = int(curves["env_steps"].max() or 0)  # type: ignore[arg-type]
    solved_at: dict[str, list[float]] = {arm: [] for arm in arms_of(curves)}
    for (arm, _), agent in by_agent(curves).items():
        returns = values_of(agent, "eval_return")
        if np.isfinite(returns).any():
            solved_at[arm].append(_first_solved(values_of(agent, "env_steps"), returns, threshold))
    return [
        Solved(arm, tuple(sorted(step for step in steps if math.isfinite(step))), len(steps), end)
        for arm, steps in solved_at.items()
        if steps
    ]


def _first_solved(steps: np.ndarray, returns: np.ndarray, threshold: float) -> float:
    """Return the environment steps until an agent had solved its environment; NaN if it never did."""
    evaluated = np.isfinite(returns)
    steps, high = steps[evaluated], returns[evaluated] >= threshold
    both = np.flatnonzero(high[:-1] & high[1:])
    return float(steps[both[0] + 1]) if both.size else math.nan


def with_relative_moves(curves: pl.DataFrame) -> pl.DataFrame:
    """Add the moves of y in standard deviations of y, as columns with the suffix `_sd`, if the curves have y_sd."""
    if "y_sd" not in curves.columns:
        return curves
    names = [name for name in MOVES if name in curves.columns]
    return curves.with_columns(
        pl.when(pl.col("y_sd") > 0).then(pl.col(name) / pl.col("y_sd")).alias(f"{name}_sd") for name in names
    )


def has_values(curves: pl.DataFrame, column: str) -> bool:
    """Return whether a column exists and has a finite value."""
    return column in curves.columns and bool(curves[column].cast(pl.Float64).is_finite().any())
