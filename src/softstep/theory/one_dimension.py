"""One dimension in closed form: θ ← θ + α(a·w − b·θ), w ← c·w + (1−c)·θ.

Symbols: β = b − a, u = 1 − αb. λ² − (1 + c − αb + α(1−c)a)·λ + c(1 − αb) = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from softstep.theory.checks import Spectrum, check_alpha, check_c, check_count, check_gamma


class Variance(NamedTuple):
    """Stationary variances under white step noise of variance 1."""

    Q: float
    T: float


class Ratios(NamedTuple):
    """Stationary variances over V₁, that of the single network of the same rate λ₁."""

    Q: float
    T: float


def eigenvalues(alpha: float, c: float, a: float, b: float) -> Spectrum:
    """λ₁, λ₂ = half-trace ± √(half-trace² − c(1−αb)), larger modulus first. Shape (2,), complex."""
    alpha, c = _pair(alpha, c)
    half = (1 + c - alpha * b + alpha * (1 - c) * a) / 2
    root = np.sqrt(complex(half**2 - c * (1 - alpha * b)))
    pair = np.array([half + root, half - root])
    return np.asarray(pair[np.argsort(-np.abs(pair), kind="stable")])


def alpha_max(c: float, a: float, b: float) -> float:
    """Upper end of the stable α for b > 0: min of (1+1/c)/b and 2(1+c)/(b(1+c) − a(1−c)); 0 unless a < b.

    Stable iff a < b, αb < 1 + 1/c and α(b(1+c) − a(1−c)) < 2(1+c). No target rescues one dimension.
    """
    c = float(check_c(c))
    _positive(b)
    if a >= b:
        return 0.0
    oscillation = b * (1 + c) - a * (1 - c)
    return min((1 + 1 / c) / b if c else np.inf, 2 * (1 + c) / oscillation if oscillation > 0 else np.inf)


def effective_alpha(alpha: float, c: float, a: float, b: float) -> float:
    """α_eff = (1 − λ₊)/β, λ₊ the larger real eigenvalue: the single network of the same rate; nan if complex."""
    alpha, c = _pair(alpha, c)
    half_gap = (alpha * (b - (1 - c) * a) + 1 - c) / 2  # 1 − half-trace
    discriminant = half_gap**2 - alpha * (1 - c) * (b - a)
    if discriminant < 0 or a >= b:
        return float("nan")
    return float(alpha * (1 - c) / (half_gap + np.sqrt(discriminant)))


def effective_alpha_approx(alpha: float, c: float, a: float, b: float) -> float:
    """α(1−c)/(1−c + α(b − (1−c)a)): time constants add, 1/α_eff ≈ 1/α + (b − (1−c)a)/(1−c)."""
    alpha, c = _pair(alpha, c)
    return alpha * (1 - c) / (1 - c + alpha * (b - (1 - c) * a))


def follows_single(alpha: float, c: float, b: float) -> bool:
    """Whether T follows a single network for some α′: iff c = 0 or αb = 1, that is, λ₂ = c(1−αb)/λ₁ = 0.

    αb = 1 is QN solving its regression in one step; then α′ = (1−c)·α.
    """
    alpha, c = _pair(alpha, c)
    return c == 0 or alpha * b == 1


def variance(alpha: float, c: float, a: float, b: float) -> Variance:
    """Var T = α(1−c)(1+cu)/[(1−cu)βp], Var Q = α[(1+c)(1−cu) − 2cαa]/[(1−cu)βp], p = 2(1+c) − α(b(1+c)−a(1−c)).

    Unit white step noise, order "post". ValueError where the pair is unstable.
    """
    alpha, c = _stable(alpha, c, a, b)
    u, beta, p = 1 - alpha * b, b - a, 2 * (1 + c) - alpha * (b * (1 + c) - a * (1 - c))
    common = alpha / ((1 - c * u) * beta * p)
    return Variance(Q=common * ((1 + c) * (1 - c * u) - 2 * c * alpha * a), T=common * (1 - c) * (1 + c * u))


def single_variance(rate: float, beta: float) -> float:
    """V₁ = (1−λ)/((1+λ)β²): variance of the single network θ ← θ − α′(βθ − noise) with λ = 1 − α′β = `rate`."""
    return (1 - rate) / ((1 + rate) * beta**2)


def ratios(alpha: float, c: float, a: float, b: float) -> Ratios:
    """Var T/V₁ = (1−λ₂)(1+λ₁λ₂)/[(1+λ₂)(1−λ₁λ₂)], Var Q/V₁ = 1 + 2(1−λ₁)(c−λ₂)(1−cλ₂)/[(1−c)²(1−λ₁λ₂)(1+λ₂)].

    For 0 < a < b, 0 < αb < 1, 0 < c < 1: Var T < V₁ < Var Q, strictly. T has rate *and* variance of a single
    network iff c(1−αb) = 0. ValueError where the eigenvalues are complex: no single network has that rate.
    """
    alpha, c = _stable(alpha, c, a, b)
    pair = eigenvalues(alpha, c, a, b)
    if np.abs(pair.imag).max() > 0:
        raise ValueError("the eigenvalues are complex: no single network has this rate")
    first, second = pair.real
    product = first * second
    target = (1 - second) * (1 + product) / ((1 + second) * (1 - product))
    excess = 2 * (1 - first) * (c - second) * (1 - c * second)
    return Ratios(Q=float(1 + excess / ((1 - c) ** 2 * (1 - product) * (1 + second))), T=float(target))


def saturated_c(period: int, gamma: float) -> float:
    """c with 1 − c = (1 − γ^{1/N})/(1 − γ): a soft target as fast as hard copies every N where αbN ≫ 1.

    There Q has solved its regression before T moves, so each copy contracts by γ.
    """
    gamma, N = check_gamma(gamma), check_count("period", period, 1)
    return float(1 - (1 - gamma ** (1 / N)) / (1 - gamma))


def _pair(alpha: float, c: float) -> tuple[float, float]:
    return float(check_alpha(alpha)), float(check_c(c))


def _positive(b: float) -> None:
    if not b > 0:
        raise ValueError(f"b = {b!r} must be above 0: it is the curvature of QN's regression")


def _stable(alpha: float, c: float, a: float, b: float) -> tuple[float, float]:
    """The checked pair; ValueError unless it is stable."""
    _positive(b)
    if not float(check_alpha(alpha)) < alpha_max(c, a, b):
        raise ValueError(f"alpha = {alpha:g} is not below alpha_max = {alpha_max(c, a, b):g}: no stationary variance")
    return _pair(alpha, c)
