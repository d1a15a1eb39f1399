"""Decision rules: which verdict follows from an interval, an adjusted p-value and a margin."""

from __future__ import annotations

from typing import Literal

from softstep.stats import Paired

VerdictWord = Literal["supported", "refuted", "equivalent", "inconclusive", "exploratory"]

SIGNIFICANCE_LEVEL = 0.05
"""A claim is supported only if its adjusted p is below this."""


def decide_superiority(difference: Paired, p_holm: float, margin: float) -> VerdictWord:
    """Decide whether the first side exceeds the second by more than the margin δ.

    Returns:
        "equivalent" if the interval lies within (−δ, δ), "supported" if it lies above δ and p_holm is below the
        significance level, "refuted" if it lies below δ, else "inconclusive".
    """
    if -margin < difference.low and difference.high < margin:
        return "equivalent"
    if difference.low > margin and p_holm < SIGNIFICANCE_LEVEL:
        return "supported"
    return "refuted" if difference.high < margin else "inconclusive"


def decide_not_lower(difference: Paired, p_holm: float, margin: float) -> VerdictWord:
    """Decide whether the first side is not lower than the second by the margin δ or more, from the interval alone.

    `p_holm` is not used: it tests a difference of zero, which the claim does not need.

    Returns:
        "supported" if the interval lies above −δ, "refuted" if it lies below −δ, else "inconclusive".
    """
    if difference.low > -margin:
        return "supported"
    return "refuted" if difference.high < -margin else "inconclusive"


def decide_equivalence(difference: Paired, p_holm: float, margin: float) -> VerdictWord:
    """Decide whether the sides differ by less than the margin δ, from the interval alone.

    `p_holm` is not used: it tests a difference of zero, which equivalence does not need.

    Returns:
        "equivalent" if the interval lies within (−δ, δ), "refuted" if it lies above δ or below −δ, else
        "inconclusive".
    """
    if -margin < difference.low and difference.high < margin:
        return "equivalent"
    return "refuted" if difference.low > margin or difference.high < -margin else "inconclusive"


def decide_smaller_ratio(ratio: Paired, p_holm: float) -> VerdictWord:
    """Decide whether the ratio first / second is below 1.

    Returns:
        "supported" if the interval lies below 1 and p_holm is below the significance level, "refuted" if the interval
        lies above 1, else "inconclusive".
    """
    if ratio.high < 1 and p_holm < SIGNIFICANCE_LEVEL:
        return "supported"
    return "refuted" if ratio.low > 1 else "inconclusive"
