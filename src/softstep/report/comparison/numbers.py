"""What the comparison's page draws, as numbers: bands with intervals, scores by seed, when an agent had solved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import scipy.special

from softstep.comparison.scores import ReturnCriteria, by_agent, final_return, return_criteria, values_of
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.report.shared.curves import Band, arms_of, finite_curves, on_one_grid

REWARD_THRESHOLDS = {"LunarLander-v3": 200.0, "CartPole-v1": 475.0, "Acrobot-v1": -100.0, "MountainCar-v0": -110.0}
"""Mean return at which Gymnasium calls an environment solved, by id without its maker."""


def mean_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over the first axis, of seeds (S, R), and the ends of its 95 % interval (Student's t).

    The interval of one seed is the mean itself.
    """
    mean, count = values.mean(0), len(values)
    if count < 2:
        return mean, mean, mean
    half = float(scipy.special.stdtrit(count - 1, 0.975)) * values.std(0, ddof=1) / math.sqrt(count)
    return mean, mean - half, mean + half


def interval_bands(curves: pl.DataFrame, name: str, *, geometric: bool = False) -> dict[str, Band]:
    """By arm the mean over seeds of column `name` and its 95 % interval, as in `curves.bands` over steps.

    geometric: of the geometric mean, over the records that are above 0.
    """
    kept = curves.filter(pl.col(name) > 0) if geometric else curves
    found = {}
    for arm, seeds in finite_curves(kept, name).items():
        grid, values = on_one_grid([(steps, np.log(v) if geometric else v) for steps, v in seeds])
        mean, low, high = (np.exp(end) if geometric else end for end in mean_interval(values))
        found[arm] = Band(grid, mean, low, high, len(seeds))
    return found


def fixed_for(config: Config, margin: float | None, floor: float | None) -> ReturnCriteria | None:
    """The margin and the floor that hold for this environment; None where either is unknown."""
    try:
        return return_criteria(config.env, margin, floor)
    except ConfigError:
        return None


def seed_scores(curves: pl.DataFrame, floor: float) -> pl.DataFrame:
    """One row per agent: arm, seed, final_return and diverged; a floor of NaN leaves diverged agents without one."""
    rows = [
        (arm, seed, final_return(agent, floor), bool(agent["diverged"][-1]))
        for (arm, seed), agent in by_agent(curves).items()
    ]
    schema = {"arm": pl.String, "seed": pl.Int64, "final_return": pl.Float64, "diverged": pl.Boolean}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.sort(pl.col("arm").cast(pl.Enum(arms_of(curves))), "seed")


class Solved(NamedTuple):
    """When the seeds of an arm had solved their environment."""

    arm: str
    steps: tuple[float, ...]
    """Environment steps of those that had, ascending."""
    seeds: int
    end: int
    """Environment steps at the end of the run."""

    @property
    def median(self) -> float:
        """Environment steps by which half of the seeds had; NaN where fewer than half ever did."""
        half = math.ceil(self.seeds / 2)
        return self.steps[half - 1] if len(self.steps) >= half else math.nan


def threshold_of(env: str) -> float | None:
    """The environment's reward threshold, where it has one."""
    return REWARD_THRESHOLDS.get(env.rpartition(":")[2])


def solved(curves: pl.DataFrame, threshold: float) -> list[Solved]:
    """One per arm that was evaluated: solved at the second of two evaluations in a row at `threshold` or above."""
    end = int(curves["env_steps"].max() or 0)  # type: ignore[arg-type]
    found: dict[str, list[float]] = {arm: [] for arm in arms_of(curves)}
    for (arm, _), agent in by_agent(curves).items():
        returns = values_of(agent, "eval_return")
        if np.isfinite(returns).any():
            found[arm].append(_first_solved(values_of(agent, "env_steps"), returns, threshold))
    return [
        Solved(arm, tuple(sorted(step for step in steps if math.isfinite(step))), len(steps), end)
        for arm, steps in found.items()
        if steps
    ]


def _first_solved(steps: np.ndarray, returns: np.ndarray, threshold: float) -> float:
    """Environment steps until an agent had solved; NaN where it never did."""
    evaluated = np.isfinite(returns)
    steps, high = steps[evaluated], returns[evaluated] >= threshold
    both = np.flatnonzero(high[:-1] & high[1:])
    return float(steps[both[0] + 1]) if both.size else math.nan


def with_relative_moves(curves: pl.DataFrame) -> pl.DataFrame:
    """The curves with Δy in standard deviations of y, in columns of the same names and `_sd`; where y_sd is there."""
    if "y_sd" not in curves.columns:
        return curves
    names = [name for name in ("y_drift", "y_rms", "y_p99") if name in curves.columns]
    return curves.with_columns(
        pl.when(pl.col("y_sd") > 0).then(pl.col(name) / pl.col("y_sd")).alias(f"{name}_sd") for name in names
    )


def has_values(curves: pl.DataFrame, name: str) -> bool:
    """Whether a column is there and has a finite value."""
    return name in curves.columns and bool(curves[name].cast(pl.Float64).is_finite().any())


def as_columns(frame: pl.DataFrame) -> dict[str, list[Any]]:
    """A table for JSON, column by column; None for what is not finite."""
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    plain = frame.with_columns(pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in floats)
    return plain.to_dict(as_series=False)


def as_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows for JSON; None for what is not finite."""
    return [{str(key): plain(value) for key, value in row.items()} for row in rows]


def plain(value: Any) -> Any:
    """A value for JSON."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
