"""How far an agent moves the learning target y per gradient step, in standard deviations of y."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from jaxtyping import Float

from softstep.comparison.scores import values_of


def mean_move(agent: pl.DataFrame) -> float:
    """Return mean |Δy| / mean SD(y) over an agent's records; NaN unless both are positive."""
    move, deviation = _finite_moves(agent, "y_drift")
    return _positive_ratio(float(move.sum()), float(deviation.sum()))


def rms_move(agent: pl.DataFrame) -> float:
    """Return √(mean Δy²) / mean SD(y) over an agent's records; NaN unless both are positive."""
    move, deviation = _finite_moves(agent, "y_rms")
    return _positive_ratio(math.sqrt(float((move**2).sum()) * move.size), float(deviation.sum()))


def _finite_moves(agent: pl.DataFrame, column: str) -> Float[np.ndarray, "2 records"]:
    """Return a column and y_sd of the records in which both are finite, from the first gradient step on."""
    both = np.stack([values_of(agent, column), values_of(agent, "y_sd")])
    return both[:, np.isfinite(both).all(axis=0) & (values_of(agent, "gradient_steps") > 0)]


def _positive_ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if numerator > 0 and denominator > 0 else math.nan
