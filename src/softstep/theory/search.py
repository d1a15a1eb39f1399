"""Minimisers of ρ over c and over (α, c), and the single network with a given growth."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from softstep.theory.checks import Array, Spectrum

_GOLDEN = (np.sqrt(5) - 1) / 2


class Best(NamedTuple):
    """The fastest pair: α, c and the spectral radius they reach."""

    alpha: float
    c: float
    radius: float


def largest_minimiser(growth: Callable[[Array], Array], grid: Array) -> float:
    """Return the z in (0, grid[-1]] with the smallest growth, the larger z on ties; nan if it falls towards z → 0.

    `growth` is vectorised and continuous and may have kinks and plateaus. Golden sections in log z refine the local
    minima of the grid, and bisection finds the right end of a plateau.
    """
    values = growth(grid)
    padded = np.concatenate([[np.inf], values, [np.inf]])
    minima = np.flatnonzero((padded[1:-1] <= padded[:-2]) & (padded[1:-1] <= padded[2:]))
    points = [(float(values[-1]), float(grid[-1]))]
    for i in map(int, minima):
        z = _golden_section(growth, grid[max(i - 1, 0)], grid[min(i + 1, len(grid) - 1)])
        points += [(float(growth(np.asarray([z]))[0]), z), (float(values[i]), float(grid[i]))]
    lowest = min(value for value, _ in points)
    threshold = lowest + 1e-12 * abs(lowest) + 1e-15
    best = max(z for value, z in points if value <= threshold)
    return float("nan") if best <= grid[1] else _plateau_end(growth, best, grid, values, threshold)


def _plateau_end(growth: Callable[[Array], Array], best: float, grid: Array, values: Array, threshold: float) -> float:
    """Return the largest z with growth(z) ≤ threshold: `best` itself, unless neighbouring grid points are as low.

    Args:
        growth: the vectorised function that is minimised.
        best: the largest minimiser found so far.
        grid: ascending values of z.
        values: growth on the grid.
        threshold: the minimum plus the tolerance for ties.
    """
    low = np.flatnonzero(values <= threshold)
    if len(low) == 0 or grid[low[-1]] < best or low[-1] == len(grid) - 1:
        return best if len(low) == 0 or low[-1] < len(grid) - 1 else float(grid[-1])
    inside, outside = float(grid[low[-1]]), float(grid[low[-1] + 1])
    if float(growth(np.asarray([np.sqrt(inside * grid[low[-1] - 1])]))[0]) > threshold:  # an isolated low grid point
        return best
    while outside - inside > 4e-16 * outside:
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if growth(np.asarray([middle]))[0] <= threshold else (inside, middle)
    return max(inside, best)


def _golden_section(growth: Callable[[Array], Array], low: float, high: float) -> float:
    """Minimise growth on (low, high) by golden sections in log z down to a relative width of 1e-13.

    Kinks are found to that precision, smooth minima to 1e-8.
    """
    a, b = np.log(low), np.log(high)
    x, y = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
    fx, fy = growth(np.exp([x]))[0], growth(np.exp([y]))[0]
    while b - a > 1e-13:
        if fx < fy:
            b, y, fy = y, x, fx
            x = b - _GOLDEN * (b - a)
            fx = growth(np.exp([x]))[0]
        else:
            a, x, fx = x, y, fy
            y = a + _GOLDEN * (b - a)
            fy = growth(np.exp([y]))[0]
    return float(np.exp((a + b) / 2))


def best_pair(growth: Callable[[Array, Array], Array], alphas: Array, taus: Array, starts: int = 4) -> Best:
    """Minimise growth over α > 0 and τ = 1 − c in (0, 1].

    The search evaluates a grid of alphas × taus, then runs the simplex method from the `starts` best points, restarting
    it until it stops improving, and searches along τ = 1 (the single network).

    Args:
        growth: ρ − 1 as a function of α and τ, which broadcast.
        alphas: grid of α, ascending.
        taus: grid of τ, ascending, ending in 1.
        starts: number of grid points to refine.

    Returns:
        The best pair, the larger τ on ties; nan throughout if no pair is stable.
    """
    values = growth(alphas[:, None], taus)
    cells = [np.unravel_index(i, values.shape) for i in np.argsort(values, axis=None)[:starts]]
    pairs = [_refine(growth, np.log([alphas[i], taus[j]])) for i, j in cells]
    single = int(np.argmin(values[:, -1]))
    around = slice(max(single - 1, 0), single + 2)
    alpha = _golden_section(lambda a: growth(a, np.asarray(1.0)), alphas[around][0], alphas[around][-1])
    pairs.append((float(growth(np.asarray(alpha), np.asarray(1.0))), float(np.log(alpha)), 0.0))
    lowest = min(value for value, _, _ in pairs)
    value, log_alpha, log_tau = max((p for p in pairs if p[0] <= lowest + 1e-10), key=lambda p: p[2])
    if value >= 0:
        return Best(float("nan"), float("nan"), float("nan"))
    return Best(float(np.exp(log_alpha)), 1 - float(np.exp(log_tau)), 1 + value)


def _refine(growth: Callable[[Array, Array], Array], start: Array) -> tuple[float, float, float]:
    """Return a local minimum of growth near (log α, log τ) = start with τ ≤ 1: its value, log α and log τ."""

    def objective(x: Array) -> float:
        inside = min(float(x[1]), 0.0)
        return float(growth(np.exp(x[0]), np.exp(inside))) + float(x[1]) - inside

    best, x = np.inf, start
    for _ in range(20):
        result = minimize(objective, x, method="Nelder-Mead", options={"xatol": 1e-12, "fatol": 1e-15, "maxiter": 400})
        x, improvement = result.x, best - result.fun
        best = min(best, float(result.fun))
        if improvement < 1e-13:
            break
    return best, float(x[0]), min(float(x[1]), 0.0)


def smallest_alpha(mu: Spectrum, growth: float) -> float:
    """Return the smallest α′ > 0 with max_i |1 + α′·μ_i| − 1 = growth, or nan if there is none.

    |1+α′μ|² − 1 = 2α′·Re μ + α′²·|μ|² must equal g = growth·(2 + growth), so every root of every quadratic is tried.
    """
    g = growth * (2 + growth)
    a, b = np.abs(mu) ** 2, mu.real
    candidates = []
    for a_i, b_i in zip(a, b, strict=True):
        root = np.sqrt(complex(b_i**2 + a_i * g)).real
        if a_i > 0 and b_i**2 + a_i * g >= 0:
            stable_root = -b_i - np.copysign(root, b_i)
            candidates += [stable_root / a_i, -g / stable_root if stable_root else 0.0]
    tolerance = 1e-9 * abs(g) + 1e-12 * np.sqrt(a.max())
    solutions = [x for x in candidates if x > 0 and (2 * x * b + x**2 * a).max() <= g + tolerance * min(1.0, x)]
    return float(min(solutions)) if solutions else float("nan")
