"""Which single number of a pair (α, c) best predicts the final return of its agents.

Every candidate orders the cells along one line. A smooth curve through the mean returns of the other cells (a kernel
average, Nadaraya and Watson 1964, over the ranks of the candidate) predicts those of a whole row of α, or of a whole
column of c, that it has not seen. The score is the share of the variance between cells that it predicts.
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
"""Widths of the kernel, as shares of the line; the best one on the seen cells is used."""


class Predictor(NamedTuple):
    """A candidate and how well it predicts."""

    name: str
    meaning: str
    r2: float
    """Share of the variance predicted over all left-out rows and columns; below 0 is worse than the mean."""
    r2_rows: float
    """The same over the left-out rows of α only."""
    r2_columns: float
    """The same over the left-out columns of c only."""


def candidate_predictors(cells: pl.DataFrame) -> Mapping[str, tuple[str, Float[np.ndarray, " cells"]]]:
    """Return the candidates by name: what each means, and its value for every cell (cells,)."""
    alpha, c, gamma = (cells[name].to_numpy().astype(float) for name in ("alpha", "c", "gamma"))
    blended = [blended_alpha(rate, weight) for rate, weight in zip(alpha, c, strict=True)]
    effective = [
        effective_alpha_approx(rate, weight, discount, 1.0)
        for rate, weight, discount in zip(alpha, c, gamma, strict=True)
    ]
    return {
        "α": ("the gradient step alone", alpha),
        "c": ("the target alone; lag and half-life order the cells alike", c),
        "(1−c)α": ("the step size of the founding claim", np.array(blended)),
        "κ = (1−c)/α": ("the speed of the target relative to the network", (1 - c) / alpha),
        "α_eff": (
            "the α of a single network that learns as fast, for one feature of size 1 and this γ",
            np.array(effective),
        ),
    }


def rank_predictors(cells: pl.DataFrame) -> list[Predictor]:
    """Return every candidate with its predictive power, the best first.

    Empty unless `cells` (`summaries.summarize_cells`) has at least three values of α and three of c.
    """
    returns = cells["mean"].to_numpy().astype(float)
    rows, columns = list(_equal_groups(cells["alpha"])), list(_equal_groups(cells["c"]))
    if min(len(rows), len(columns)) < 3:
        return []
    predictors = []
    for name, (meaning, values) in candidate_predictors(cells).items():
        x = scipy.stats.rankdata(values) / len(values)
        power = [predictive_power(x, returns, left_out) for left_out in ([*rows, *columns], rows, columns)]
        predictors.append(Predictor(name, meaning, *power))
    return sorted(predictors, key=lambda predictor: -predictor.r2)


def _equal_groups(values: pl.Series) -> Iterator[Bool[np.ndarray, " cells"]]:
    """Yield a mask of the cells with each distinct value."""
    array = values.to_numpy()
    return (array == value for value in np.unique(array))


def predictive_power(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], left_out: list[Bool[np.ndarray, " n"]]
) -> float:
    """Return 1 − Σ(y − ŷ)²/Σ(y − ȳ)², where ŷ and ȳ of each left-out group come from the values outside it."""
    missed = total = 0.0
    for group in left_out:
        seen = ~group
        width = min(BANDWIDTHS, key=lambda h: _leave_one_out_error(x[seen], y[seen], h))
        missed += float(np.sum((y[group] - smooth(x[seen], y[seen], x[group], width)) ** 2))
        total += float(np.sum((y[group] - y[seen].mean()) ** 2))
    return 1 - missed / total if total > 0 else float("nan")


def smooth(x: np.ndarray, y: np.ndarray, at: np.ndarray, width: float) -> Float[np.ndarray, " at"]:
    """Return averages of y, weighted by exp(−((x − at)/width)²/2).

    Args:
        x: positions (n,) of the values.
        y: values (n,).
        at: points at which to average.
        width: width of the weights, in units of x.
    """
    logs = -(((at[:, None] - x) / width) ** 2) / 2
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray((weights @ y) / weights.sum(axis=1))


def _leave_one_out_error(x: np.ndarray, y: np.ndarray, width: float) -> float:
    """Return the mean squared error of predicting each y by the average of all others."""
    logs = -(((x[:, None] - x) / width) ** 2) / 2
    np.fill_diagonal(logs, -np.inf)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return float(np.mean((y - (weights @ y) / weights.sum(axis=1)) ** 2))
