"""Which single number of a pair (α, c) predicts best how its agents end.

Every candidate orders the cells along one line. A smooth curve through the mean returns of the other cells (a kernel
average, Nadaraya and Watson 1964, over the ranks of the candidate) predicts those of a whole row of α, or of a whole
column of c, that it has not seen. What counts is the share of the variance between cells that it predicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

from softstep.theory import blended_alpha
from softstep.theory.one_dimension import effective_alpha_approx

if TYPE_CHECKING:
    import polars as pl

BANDWIDTHS = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Widths of the kernel, as shares of the line; the best on the cells that are seen is taken."""


class Predictor(NamedTuple):
    """A candidate and how well it did."""

    name: str
    meaning: str
    r2: float
    """Share of the variance predicted, over all rows and columns that were left out; below 0 is worse than the mean."""
    r2_rows: float
    """The same over the left-out rows of α alone."""
    r2_columns: float
    """The same over the left-out columns of c alone."""


def candidates(cells: pl.DataFrame) -> Mapping[str, tuple[str, Float[np.ndarray, " cells"]]]:
    """Numbers of every cell (cells,) by name, with what they are."""
    alpha, c, gamma = (cells[name].to_numpy().astype(float) for name in ("alpha", "c", "gamma"))
    effective = [effective_alpha_approx(rate, weight, a, 1.0) for rate, weight, a in zip(alpha, c, gamma, strict=True)]
    return {
        "α": ("the gradient step alone", alpha),
        "c": ("the target alone; lag and half-life order the cells alike", c),
        "(1−c)α": ("the step of the thread's claim", np.array([blended_alpha(*p) for p in zip(alpha, c, strict=True)])),
        "κ = (1−c)/α": ("how fast the target is against the network", (1 - c) / alpha),
        "α_eff": ("the single network of the same rate, for one feature of size 1 and this γ", np.array(effective)),
    }


def predictors(cells: pl.DataFrame) -> list[Predictor]:
    """Every candidate with its predictive power, the best first; needs at least three values of α and of c."""
    outcome = cells["mean"].to_numpy().astype(float)
    rows, columns = list(_groups(cells["alpha"])), list(_groups(cells["c"]))
    if min(len(rows), len(columns)) < 3:
        return []
    found = []
    for name, (meaning, values) in candidates(cells).items():
        x = scipy.stats.rankdata(values) / len(values)
        power = [predictive_power(x, outcome, left_out) for left_out in ([*rows, *columns], rows, columns)]
        found.append(Predictor(name, meaning, *power))
    return sorted(found, key=lambda predictor: -predictor.r2)


def _groups(values: pl.Series) -> Iterator[Bool[np.ndarray, " cells"]]:
    """Where each value stands."""
    each = values.to_numpy()
    return (each == value for value in np.unique(each))


def predictive_power(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], left_out: list[Bool[np.ndarray, " n"]]
) -> float:
    """1 − Σ(y − ŷ)²/Σ(y − ȳ)², each group predicted by what is outside of it; ȳ is the mean outside too."""
    missed = total = 0.0
    for group in left_out:
        seen = ~group
        width = min(BANDWIDTHS, key=lambda h: _left_one_out(x[seen], y[seen], h))
        missed += float(np.sum((y[group] - smooth(x[seen], y[seen], x[group], width)) ** 2))
        total += float(np.sum((y[group] - y[seen].mean()) ** 2))
    return 1 - missed / total if total > 0 else float("nan")


def smooth(x: np.ndarray, y: np.ndarray, at: np.ndarray, width: float) -> Float[np.ndarray, " at"]:
    """Averages of y (n,) at the places `at`, weighted by exp(−((x − at)/width)²/2)."""
    logs = -(((at[:, None] - x) / width) ** 2) / 2
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray((weights @ y) / weights.sum(axis=1))


def _left_one_out(x: np.ndarray, y: np.ndarray, width: float) -> float:
    """Mean squared error of the average of all others."""
    logs = -(((x[:, None] - x) / width) ** 2) / 2
    np.fill_diagonal(logs, -np.inf)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return float(np.mean((y - (weights @ y) / weights.sum(axis=1)) ** 2))
