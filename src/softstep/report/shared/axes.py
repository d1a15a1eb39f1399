"""Axes for every picture: round ticks, short numbers, labels that do not overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Limits(NamedTuple):
    """The range an axis shows and where its ticks are."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, values: np.ndarray) -> np.ndarray:
        """Where `values` lie between low (0) and high (1); beyond them, the nearer end."""
        return np.clip((values - self.low) / (self.high - self.low), 0.0, 1.0)

    def share_of(self, value: float) -> float:
        """Where one value lies."""
        return float(self.share(np.array([value], float))[0])


def nice_limits(low: float, high: float, count: int = 5, *, widen: bool = True) -> Limits:
    """About `count` ticks at 1, 2, 2.5 or 5 times a power of ten; the range reaches out to ticks if `widen`."""
    if not high > low:
        margin = 0.5 * abs(low) or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / max(1, count - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= 0.8 * rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [round(k * step, 12) for k in range(first, last + 1)]
    if widen:
        return Limits(ticks[0], ticks[-1], tuple(ticks))
    slack = 1e-9 * (high - low)
    return Limits(low, high, tuple(t for t in ticks if low - slack <= t <= high + slack))


def short(value: float) -> str:
    """A tick's label: 300 k, 1.5 M, −200, 0.25."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= size:
            factor = 1e3 if unit == " k" else size
            return f"{value / factor:.4g}{unit}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions moved as little as needed to lie `gap` apart within [low, high], their order kept.

    Where they do not all fit, the gaps shrink alike.
    """
    if not positions:
        return []
    gap = min(gap, (high - low) / max(1, len(positions) - 1))
    order = np.argsort(positions, kind="stable")
    # With k·gap taken off the k-th, "gap apart" becomes "not falling", and pooling neighbours solves that exactly.
    slid = [positions[i] - k * gap for k, i in enumerate(order)]
    pools: list[list[float]] = []
    for value in slid:
        pools.append([value])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    level = [float(np.mean(pool)) for pool in pools for _ in pool]
    top = high - (len(positions) - 1) * gap
    result = [0.0] * len(positions)
    for k, i in enumerate(order):
        result[i] = min(max(level[k], low), top) + k * gap
    return result
