"""Which single number of a pair (α, c) best predicts the final return of its agents.

Every candidate orders the cells along one line. A smooth curve through the mean returns of the other cells (a kernel
average, Nadaraya and Watson 1964, over the ranks of the candidate) predicts those of a whole row of α, or of a whole
column of c, that it has not seen. The score is the share of the variance between cells that it predicts.

A part of that variance is seed noise: a mean over finitely many seeds is not the mean over all seeds, and no number of
(α, c) predicts the difference. `Predictor.reproducible` is the share of the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
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

REPLICATES = 1_000
"""Number of bootstrap replicates."""


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
    reproducible: float
    """Share of the reproducible variance: `r2` without the seeds' noise (`reproducible_share`)."""
    low: float
    """Lower end of its 95 % interval, by resampling seeds; NaN, like `reproducible`, if a cell has a single seed."""
    high: float
    undefined: int
    """Number of cells for which the candidate has no finite value; unless it is 0, all shares are NaN."""


class Errors(NamedTuple):
    """Squared errors over the left-out groups: of the curve, and of the mean of the seen cells."""

    curve: Float[np.ndarray, "replicates groups"]
    mean: Float[np.ndarray, "replicates groups"]


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


def rank_predictors(agents: pl.DataFrame, lower_bound: float = -math.inf) -> list[Predictor]:
    """Return every candidate with its predictive power, the best first; those that are undefined somewhere are last.

    Empty unless there are at least three values of α and three of c.

    Args:
        agents: the agents' table of `summaries.summarize_agents`; cell, alpha, c, gamma and final_return are read.
        lower_bound: returns below it count as this much, so that the depth of a crash does not.
    """
    groups = [group for _, group in agents.group_by("cell", maintain_order=True)]
    cells = agents.unique("cell", keep="first", maintain_order=True)
    rows, columns = list(_equal_groups(cells["alpha"])), list(_equal_groups(cells["c"]))
    if min(len(rows), len(columns)) < 3:
        return []
    returns = [np.maximum(group["final_return"].to_numpy().astype(float), lower_bound) for group in groups]
    predictors = [
        _predictor(name, meaning, values, returns, rows, columns)
        for name, (meaning, values) in candidate_predictors(cells).items()
    ]
    return sorted(predictors, key=lambda predictor: (predictor.undefined > 0, -predictor.r2))


def _predictor(
    name: str,
    meaning: str,
    values: Float[np.ndarray, " cells"],
    returns: Sequence[np.ndarray],
    rows: list[Bool[np.ndarray, " cells"]],
    columns: list[Bool[np.ndarray, " cells"]],
) -> Predictor:
    """Return a candidate with its shares; `returns` are those of every cell's seeds."""
    undefined = int(np.sum(~np.isfinite(values)))
    if undefined:
        nan = math.nan
        return Predictor(name, meaning, nan, nan, nan, nan, nan, nan, undefined)
    x, means = scipy.stats.rankdata(values) / len(values), np.array([of.mean() for of in returns])
    both = [*rows, *columns]
    r2, r2_rows, r2_columns = (predictive_power(x, means, left_out) for left_out in (both, rows, columns))
    share, low, high = reproducible_share(x, returns, both)
    return Predictor(name, meaning, r2, r2_rows, r2_columns, share, low, high, 0)


def _equal_groups(values: pl.Series) -> Iterator[Bool[np.ndarray, " cells"]]:
    """Yield a mask of the cells with each distinct value."""
    array = values.to_numpy()
    return (array == value for value in np.unique(array))


def predictive_power(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], left_out: list[Bool[np.ndarray, " n"]]
) -> float:
    """Return 1 − Σ(y − ŷ)²/Σ(y − ȳ)², where ŷ and ȳ of each left-out group come from the values outside it."""
    errors = prediction_errors(x, y[None], left_out)
    missed, total = float(errors.curve.sum()), float(errors.mean.sum())
    return 1 - missed / total if total > 0 else math.nan


def reproducible_share(
    x: Float[np.ndarray, " cells"], returns: Sequence[np.ndarray], left_out: list[Bool[np.ndarray, " cells"]]
) -> tuple[float, float, float]:
    """Return the explained share of the reproducible variance between cells, with its 95 % interval.

    With ȳ_i the mean of cell i over its n_i seeds, s_i their standard deviation, and ŷ_i and m_i the prediction and the
    mean of the cells outside the left-out group, summed over all left-out cells,

        share = (Σ(ȳ_i − m_i)² − Σ(ȳ_i − ŷ_i)²) / max(Σ(ȳ_i − m_i)² − N, (F − 1)·N),   N = Σ s_i²/n_i.

    Both sums contain N in expectation, since neither m_i nor ŷ_i has seen the seeds of cell i: it cancels in the
    numerator, and is subtracted in the denominator. F is the 95 % quantile of the F distribution with k − 1 and
    Σ(n_i − 1) degrees of freedom for k cells, about what Σ(ȳ_i − m_i)²/N exceeds once in twenty times if cells do not
    differ. Where the map shows no more than that, the share is not blown up by a denominator near 0: it stays near 0
    if nothing is reproducible, and is too small if something is.

    The interval is the basic bootstrap's (Davison and Hinkley 1997, section 5.2), 2·share − the upper and lower
    quantiles over replicates. In each, the seeds of every cell are resampled, their deviations times √(n_i/(n_i − 1))
    so that the replicate's noise has the variance s_i²/n_i (Rao and Wu 1988); a replicate has the noise of the cells
    and its own, so that 2N is subtracted.

    Args:
        x: positions (cells,) of the cells on the candidate's line.
        returns: the returns of every cell's seeds.
        left_out: masks (cells,) of the groups that are predicted.

    Returns:
        Share, lower and upper end; NaN if a cell has a single seed or there is no variance at all.
    """
    counts = np.array([len(of) for of in returns])
    if counts.min() < 2:
        return math.nan, math.nan, math.nan
    means, noises = np.array([of.mean() for of in returns]), np.array([of.var(ddof=1) for of in returns]) / counts
    noise = sum(float(noises[group].sum()) for group in left_out)
    quantile = float(scipy.stats.f.ppf(0.95, len(counts) - 1, (counts - 1).sum()))

    def share(y: Float[np.ndarray, "m cells"], subtracted: float) -> Float[np.ndarray, " m"]:
        missed, total = (of.sum(1) for of in prediction_errors(x, y, left_out))
        reproducible = np.maximum(total - subtracted, (quantile - 1) * noise)
        return np.asarray(np.divide(total - missed, reproducible, out=np.full(len(y), np.nan), where=reproducible > 0))

    estimate = float(share(means[None], noise)[0])
    replicates = share(means + _resampled_deviations(returns), 2 * noise)
    low, high = np.quantile(replicates, (0.025, 0.975))
    return estimate, float(2 * estimate - high), float(2 * estimate - low)


def _resampled_deviations(returns: Sequence[np.ndarray]) -> Float[np.ndarray, "replicates cells"]:
    """Return the deviations of resampled means from the means; the same random numbers serve every candidate."""
    generator = np.random.default_rng(0)
    columns = []
    for of in returns:
        deviations = (of - of.mean()) * math.sqrt(len(of) / (len(of) - 1))
        columns.append(deviations[generator.integers(len(of), size=(REPLICATES, len(of)))].mean(1))
    return np.stack(columns, axis=1)


def prediction_errors(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, "m n"], left_out: list[Bool[np.ndarray, " n"]]
) -> Errors:
    """Return the squared errors of predicting every left-out group from the values outside it.

    Args:
        x: positions (n,).
        y: m replicates of the values (m, n), each predicted with the width that suits it best.
        left_out: masks (n,) of the groups.
    """
    curve, mean = [], []
    for group in left_out:
        seen, hidden = y[:, ~group], y[:, group]
        errors = [_leave_one_out_error(x[~group], seen, width) for width in BANDWIDTHS]
        predicted = np.stack([smooth(x[~group], seen, x[group], width) for width in BANDWIDTHS])
        best = predicted[np.argmin(errors, axis=0), np.arange(len(y))]
        curve.append(((hidden - best) ** 2).sum(1))
        mean.append(((hidden - seen.mean(1, keepdims=True)) ** 2).sum(1))
    return Errors(np.stack(curve, axis=1), np.stack(mean, axis=1))


def smooth(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, "m n"], at: Float[np.ndarray, " p"], width: float
) -> Float[np.ndarray, "m p"]:
    """Return averages of y, weighted by exp(−((x − at)/width)²/2).

    Args:
        x: positions (n,) of the values.
        y: m replicates of the values (m, n).
        at: points (p,) at which to average.
        width: width of the weights, in units of x.
    """
    logs = -(((at[:, None] - x) / width) ** 2) / 2
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(y @ (weights / weights.sum(axis=1, keepdims=True)).T)


def _leave_one_out_error(x: np.ndarray, y: np.ndarray, width: float) -> Float[np.ndarray, " m"]:
    """Return, for every replicate (m, n), the mean squared error of predicting each y by the average of all others."""
    logs = -(((x[:, None] - x) / width) ** 2) / 2
    np.fill_diagonal(logs, -np.inf)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(((y - y @ (weights / weights.sum(axis=1, keepdims=True)).T) ** 2).mean(1))
