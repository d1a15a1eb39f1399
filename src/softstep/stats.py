"""Statistics of returns with NumPy and SciPy; the module knows nothing about agents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

EXACT = 20
"""Largest number of pairs for which all 2ⁿ sign patterns are counted."""
PATTERNS = 100_000
"""Number of random sign patterns drawn for more pairs."""


class ReturnStatistics(NamedTuple):
    """Summary of one agent's greedy returns."""

    mean: float
    iqm: float
    """Interquartile mean: the mean of the middle half."""
    sd: float
    low: float
    """Lower end of the 95 % interval of the mean."""
    high: float
    """Upper end of the 95 % interval of the mean."""


class Paired(NamedTuple):
    """A mean difference over pairs, with its interval and its test."""

    estimate: float
    low: float
    high: float
    p: float
    """Two-sided p-value of the hypothesis that the mean difference is zero."""
    n: int
    """Number of pairs."""


def return_statistics(returns: Float[np.ndarray, " episodes"]) -> ReturnStatistics:
    """Summarise returns (episodes,): mean, interquartile mean, standard deviation, Student's t interval at 95 %.

    The standard deviation and the interval are NaN for a single episode.
    """
    sd = float(np.std(returns, ddof=1)) if len(returns) > 1 else math.nan
    return ReturnStatistics(float(np.mean(returns)), interquartile_mean(returns), sd, *mean_interval(returns))


def interquartile_mean(values: Float[np.ndarray, " n"]) -> float:
    """Return the mean of values (n,) without the ⌊n/4⌋ lowest and the ⌊n/4⌋ highest.

    Source: Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice" (rliable).
    """
    return float(scipy.stats.trim_mean(values, 0.25))


def mean_interval(values: Float[np.ndarray, " n"], level: float = 0.95) -> tuple[float, float]:
    """Return the ends of Student's t interval of the mean of values (n,), v̄ ± t·s/√n; NaN for n < 2.

    At 95 % and n = 8 it covers the true mean of normal values in 95 of 100 samples, in 93 at a skewness of 1, and in
    89 at a skewness of 2 (exponential).
    """
    (low,), (high,) = mean_intervals(values[:, None], level)
    return float(low), float(high)


def mean_intervals(
    values: Float[np.ndarray, "n points"], level: float = 0.95
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """Return the lower and the upper ends of `mean_interval` for every column of values (n, points)."""
    count = len(values)
    if count < 2:
        return np.full(values.shape[1], math.nan), np.full(values.shape[1], math.nan)
    mean = values.mean(0)
    half = scipy.stats.t.ppf((1 + level) / 2, count - 1) * values.std(0, ddof=1) / math.sqrt(count)
    return mean - half, mean + half


def paired_difference(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"], level: float = 0.95) -> Paired:
    """Return the mean of d = a − b over pairs (n,), with the paired-t interval d̄ ± t·s/√n and the sign-flip p-value.

    The interval and p are NaN for n < 2; the estimate is NaN for n = 0.
    """
    differences = a - b
    mean = float(np.mean(differences)) if len(differences) else math.nan
    return Paired(mean, *mean_interval(differences, level), sign_flip_p(differences), len(differences))


def sign_flip_p(differences: Float[np.ndarray, " n"]) -> float:
    """Return the two-sided p-value of a mean of zero: the share of sign patterns s in {−1, 1}ⁿ with |Σ s·d| ≥ |Σ d|.

    The test is exact if d is symmetric about zero under the hypothesis. For n ≤ 20, all 2ⁿ patterns count. For more,
    k of m = 100 000 random patterns of a fixed seed give (k + 1)/(m + 1), so that p is never 0. The result is NaN for
    n < 2 or if a difference is not finite.

    `scipy.stats.permutation_test` takes hundreds of times longer for n = 20, and rounding can break its ties.

    Sources: Fisher 1935; Phipson and Smyth 2010 for the + 1.
    """
    count = len(differences)
    if count < 2 or not np.isfinite(differences).all():
        return math.nan
    tolerance = 1e-12 * float(np.abs(differences).sum())  # rounding must not break ties
    threshold = abs(float(differences.sum())) - tolerance
    if count <= EXACT:
        return float(np.mean(np.abs(_signed_sums(differences)) >= threshold))
    generator, chunk = np.random.default_rng(0), PATTERNS // 10
    sums = [generator.choice([-1.0, 1.0], (chunk, count)) @ differences for _ in range(10)]
    return float((np.sum(np.abs(sums) >= threshold) + 1) / (PATTERNS + 1))


def _signed_sums(differences: Float[np.ndarray, " n"]) -> Float[np.ndarray, " patterns"]:
    """Return Σ s·d for the 2ⁿ⁻¹ sign patterns that keep the first sign; the remaining sums are their negatives."""
    sums = differences[:1]
    for difference in differences[1:]:
        sums = np.concatenate([sums + difference, sums - difference])
    return sums


def holm(p: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, p₍ᵢ₎ → max over j ≤ i of min(1, (m − j + 1)·p₍ⱼ₎), in the order of `p`.

    NaN stays NaN and does not count in m. Source: Holm 1979.
    """
    adjusted = [math.nan] * len(p)
    order = sorted((i for i in range(len(p)) if not math.isnan(p[i])), key=lambda i: p[i])
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[i]))
        adjusted[i] = largest
    return adjusted


def restricted_mean(times: Float[np.ndarray, " n"], solved: Bool[np.ndarray, " n"], budget: float) -> float:
    """Return the restricted mean time to solve: the area under the Kaplan–Meier curve up to the budget.

    The unit is that of `times` (n,), of which only entries with `solved` (n,) are read. A run that was not solved
    counts as censored at the budget, wherever it stopped, so the area is the mean of min(time, budget).

    Raises:
        ValueError: If there are no runs, or if the budget is not above 0.
    """
    if not len(times) or not budget > 0:
        raise ValueError(f"a restricted mean needs at least one run and a budget above 0: {len(times)} runs, {budget}")
    return float(np.mean(np.where(solved, np.minimum(times, budget), budget)))


def exact_interval(successes: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Return the Clopper–Pearson interval of a rate, which covers it at least as often as `level` says at any count.

    Source: Clopper and Pearson 1934.

    Raises:
        ValueError: If `successes` is not in 0 … count, or `count` is below 1.
    """
    if not 0 <= successes <= count or count < 1:
        raise ValueError(f"{successes} of {count} is not a rate: give 0 <= successes <= count with count >= 1")
    interval = scipy.stats.binomtest(successes, count).proportion_ci(level, method="exact")
    return float(interval.low), float(interval.high)


def performance_profile(scores: Float[np.ndarray, " n"], thresholds: Float[np.ndarray, " t"]) -> np.ndarray:
    """Return the share of scores (n,) above each threshold (t,).

    Source: Agarwal et al. 2021, section 4.2 (rliable).
    """
    return (scores[:, None] > thresholds).mean(0)


def probability_of_improvement(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " m"]) -> float:
    """Return P(X > Y) + P(X = Y)/2 for scores X of `first` (n,) and Y of `second` (m,).

    This is Mann and Whitney's U over n·m. `scipy.stats.mannwhitneyu` rounds the last digit differently when scores tie.

    Source: Agarwal et al. 2021, section 4.3 (rliable).
    """
    gaps = first[:, None] - second
    return float(np.mean(gaps > 0) + np.mean(gaps == 0) / 2)
