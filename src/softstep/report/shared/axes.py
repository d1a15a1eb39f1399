"""Axes of every picture: round ticks and labels that do not overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class AxisLimits(NamedTuple):
    """The range that an axis shows, and its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def fraction(self, values: np.ndarray) -> np.ndarray:
        """Return the positions of `values` from low (0) to high (1); values beyond an end are put on it."""
        return np.clip((values - self.low) / (self.high - self.low), 0.0, 1.0)

    def fraction_of(self, value: float) -> float:
        """Return the position of one value from low (0) to high (1)."""
        return float(self.fraction(np.array([value], float))[0])


def nice_limits(low: float, high: float, count: int = 5, *, widen: bool = True) -> AxisLimits:
    """Return limits with ticks at 1, 2, 2.5 or 5 times a power of ten.

    Args:
        low: Lowest value.
        high: Highest value.
        count: Approximate number of ticks.
        widen: Whether the range extends to whole ticks.
    """
    if not high > low:
        margin = 0.5 * abs(low) or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / max(1, count - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= 0.8 * rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [round(k * step, 12) for k in range(first, last + 1)]
    if widen:
        return AxisLimits(ticks[0], ticks[-1], tuple(ticks))
    slack = 1e-9 * (high - low)
    return AxisLimits(low, high, tuple(t for t in ticks if low - slack <= t <= high + slack))


MOST_TICKS = 7
"""Largest number of ticks of a logarithmic axis."""


def log_ticks(low: float, high: float) -> list[float]:
    """Return round ticks between two positive ends whose labels do not overlap on a logarithmic axis.

    They are multiples of one step within a decade, then 1, 2 and 5 times the powers of ten, then 1 and 3 times, then
    every power or every second or third.
    """
    decades = math.log10(high / low)
    if decades < 1:
        rough = (high - low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return [float(f"{k * step:.12g}") for k in range(first, last + 1)]
    for digits in ((1, 2, 5), (1, 3), (1,)):
        ticks = _power_ticks(low, high, digits, 1)
        if len(ticks) <= MOST_TICKS:
            return ticks
    return _power_ticks(low, high, (1,), math.ceil((decades + 1) / MOST_TICKS))


def _power_ticks(low: float, high: float, digits: Sequence[int], stride: int) -> list[float]:
    """Return `digits` times every `stride`-th power of ten within [low, high]."""
    first = math.floor(math.log10(low) / stride) * stride
    powers = range(first, math.floor(math.log10(high)) + 1, stride)
    ticks = [float(f"{digit}e{power}") for power in powers for digit in digits]
    return [tick for tick in ticks if low <= tick <= high]


def spread_labels(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move positions as little as possible until they are `gap` apart within [low, high], and keep their order.

    Args:
        positions: Where the labels should be.
        gap: Smallest distance between two labels; if they do not all fit, the gaps shrink equally.
        low: Lowest position.
        high: Highest position.
    """
    if not positions:
        return []
    gap = min(gap, (high - low) / max(1, len(positions) - 1))
    order = np.argsort(positions, kind="stable")
    # Subtracting k·gap from the k-th position turns "gap apart" into "not decreasing", which pooling neighbours solves.
    shifted = [positions[i] - k * gap for k, i in enumerate(order)]
    pools: list[list[float]] = []
    for value in shifted:
        pools.append([value])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    level = [float(np.mean(pool)) for pool in pools for _ in pool]
    top = high - (len(positions) - 1) * gap
    result = [0.0] * len(positions)
    for k, i in enumerate(order):
        result[i] = min(max(level[k], low), top) + k * gap
    return result
