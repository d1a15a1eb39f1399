"""How a verdict follows from an interval, a p and a margin."""

from __future__ import annotations

from typing import Literal

from softstep.stats import Paired

Word = Literal["supported", "refuted", "equivalent", "inconclusive", "exploratory"]


LEVEL = 0.05
"""Largest adjusted p of a supported claim."""


def beats(found: Paired, p_holm: float, margin: float) -> Word:
    if -margin < found.low and found.high < margin:
        return "equivalent"
    if found.low > margin and p_holm < LEVEL:
        return "supported"
    return "refuted" if found.high < margin else "inconclusive"


def _equal(found: Paired, p_holm: float, margin: float) -> Word:
    """An equivalence claim rests on its interval alone: p is of no difference at all."""
    if -margin < found.low and found.high < margin:
        return "equivalent"
    return "refuted" if found.low > margin or found.high < -margin else "inconclusive"


def _smaller(found: Paired, p_holm: float) -> Word:
    if found.high < 1 and p_holm < LEVEL:
        return "supported"
    return "refuted" if found.low > 1 else "inconclusive"
