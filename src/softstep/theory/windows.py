"""Stability windows along one axis.

The axis is split at the possible crossings, each piece is tested, and the ends of the stable pieces are refined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from scipy.optimize import brentq

from softstep.theory.checks import Array

SCAN_PER_DECADE = 24
"""Points per decade when crossings are found by scanning."""


class Windows(list[tuple[float, float]]):
    """Open intervals of stability in ascending order, an ordinary list of pairs.

    `resolution` is None if every crossing was computed. Otherwise it is the factor (in 1−c, α or κ) below which a
    window, or a gap between two windows, could have been missed. The ends are exact to rounding either way.
    """

    def __init__(self, pairs: Iterable[tuple[float, float]] = (), resolution: float | None = None) -> None:
        super().__init__(pairs)
        self.resolution = resolution

    def __contains__(self, value: object) -> bool:
        """Return whether a number lies in a window, or a pair is one of them. The end 0 belongs to a window of c."""
        if isinstance(value, (int, float, np.floating)):
            return any(low < value < high or value == low == 0 for low, high in self)
        return super().__contains__(value)


def scan(low: float, high: float) -> Array:
    """Return points from low to high, `SCAN_PER_DECADE` for each factor of ten."""
    return np.geomspace(low, high, 2 + int(SCAN_PER_DECADE * np.log10(high / low)))


def find_windows(
    growth: Callable[[Array], Array], splits: Array, samples: Array, top: float
) -> list[tuple[float, float]]:
    """Return the open intervals of z in (0, top) on which growth(z) < 0.

    Brent's method finds each end between a stable and an unstable neighbour, to 4 units in the last place if growth is
    that accurate.

    Args:
        growth: a continuous, vectorised function.
        splits: points at which its sign may change, ascending.
        samples: further points to test.
        top: upper end of the axis, possibly inf.
    """
    splits = splits[splits < top]
    inner = np.sqrt(splits[:-1] * splits[1:])
    outer = [splits[0] / 2, splits[-1] * 2 if np.isinf(top) else np.sqrt(splits[-1] * top)] if len(splits) else []
    z = np.unique(np.concatenate([inner, outer, samples]))
    stable = growth(z) < 0
    ends = [_crossing(growth, z[i], z[i + 1]) for i in np.flatnonzero(stable[1:] != stable[:-1])]
    ends = [0.0] * bool(stable[0]) + ends + [top] * bool(stable[-1])
    return list(zip(ends[::2], ends[1::2], strict=True))


def _crossing(growth: Callable[[Array], Array], low: float, high: float) -> float:
    """Return the z in (low, high) at which growth changes sign, to rounding, searched in log z."""
    span = float(np.log(high / low))

    def growth_at(u: float) -> float:
        z = high if u == span else low * np.exp(u)
        return float(growth(np.asarray([z]))[0])

    return float(low * np.exp(brentq(growth_at, 0.0, span, xtol=1e-15, rtol=1e-15)))
