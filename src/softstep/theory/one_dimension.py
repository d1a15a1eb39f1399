"""One dimension in closed form: θ ← θ + α(a·w − b·θ), w ← c·w + (1−c)·θ.

Symbols: β = b − a, u = 1 − αb. λ² − (1 + c − αb + α(1−c)a)·λ + c(1 − αb) = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from softstep.theory.checks import Spectrum, check_alpha, check_c, check_count, check_gamma


class Variance(NamedTuple):
    """Stationary variances of Q and T under white step noise of variance 1."""

    Q: float
    T: float


class Ratios(NamedTuple):
    """Stationary variances of Q and T over V₁, the variance of the single network of the same rate λ₁."""

    Q: float
    T: float


def eigenvalues(alpha: float, c: float, a: float, b: float) -> Spectrum:
    """Return the eigenvalues λ₁, λ₂ = half-trace ± √(half-trace² − c(1−αb)).

    Args:
        alpha: size of a gradient step, above 0.
        c: weight of the old target, in [0, 1).
        a: coefficient of the target w in the TD step.
        b: coefficient of the online parameter θ in the TD step.

    Returns:
        A complex array of shape (2,), larger modulus first.
    """
    alpha, c = _checked_pair(alpha, c)
    half = (1 + c - alpha * b + alpha * (1 - c) * a) / 2
    root = np.sqrt(complex(half**2 - c * (1 - alpha * b)))
    pair = np.array([half + root, half - root])
    return np.asarray(pair[np.argsort(-np.abs(pair), kind="stable")])


def alpha_max(c: float, a: float, b: float) -> float:
    """Return the upper end of the stable α for b > 0: min of (1+1/c)/b and 2(1+c)/(b(1+c) − a(1−c)); 0 unless a < b.

    The pair is stable iff a < b, αb < 1 + 1/c and α(b(1+c) − a(1−c)) < 2(1+c). If the single network diverges for every
    α (a ≥ b), so does every pair. Raises ValueError if b ≤ 0.
    """
    c = float(check_c(c))
    _check_curvature(b)
    if a >= b:
        return 0.0
    oscillation = b * (1 + c) - a * (1 - c)
    return min((1 + 1 / c) / b if c else np.inf, 2 * (1 + c) / oscillation if oscillation > 0 else np.inf)


def effective_alpha(alpha: float, c: float, a: float, b: float) -> float:
    """Return α_eff = (1 − λ₊)/β, the rate of the single network that decays as fast; λ₊ is the larger real eigenvalue.

    Args:
        alpha: size of a gradient step, above 0.
        c: weight of the old target, in [0, 1).
        a: coefficient of the target w in the TD step.
        b: coefficient of the online parameter θ in the TD step.

    Returns:
        α_eff, or nan if the eigenvalues are complex or a ≥ b.
    """
    alpha, c = _checked_pair(alpha, c)
    half_gap = (alpha * (b - (1 - c) * a) + 1 - c) / 2  # 1 − half-trace
    discriminant = half_gap**2 - alpha * (1 - c) * (b - a)
    if discriminant < 0 or a >= b:
        return float("nan")
    return float(alpha * (1 - c) / (half_gap + np.sqrt(discriminant)))


def effective_alpha_approx(alpha: float, c: float, a: float, b: float) -> float:
    """Return α(1−c)/(1−c + α(b − (1−c)a)), an approximation of α_eff that adds time constants.

    1/α_eff ≈ 1/α + (b − (1−c)a)/(1−c).

    Args:
        alpha: size of a gradient step, above 0.
        c: weight of the old target, in [0, 1).
        a: coefficient of the target w in the TD step.
        b: coefficient of the online parameter θ in the TD step.
    """
    alpha, c = _checked_pair(alpha, c)
    return alpha * (1 - c) / (1 - c + alpha * (b - (1 - c) * a))


def follows_single(alpha: float, c: float, b: float) -> bool:
    """Return whether T follows a single network for some α′: iff c = 0 or αb = 1, that is, λ₂ = c(1−αb)/λ₁ = 0.

    At αb = 1 the Q-network solves its regression in one step; then α′ = (1−c)·α.
    """
    alpha, c = _checked_pair(alpha, c)
    return c == 0 or alpha * b == 1


def variance(alpha: float, c: float, a: float, b: float) -> Variance:
    """Return the stationary variances under unit white step noise, order "post".

    Args:
        alpha: size of a gradient step, above 0.
        c: weight of the old target, in [0, 1).
        a: coefficient of the target w in the TD step.
        b: coefficient of the online parameter θ in the TD step.

    Returns:
        Var T = α(1−c)(1+cu)/[(1−cu)βp] and Var Q = α[(1+c)(1−cu) − 2cαa]/[(1−cu)βp],
        with p = 2(1+c) − α(b(1+c) − a(1−c)).

    Raises:
        ValueError: the pair is unstable.
    """
    alpha, c = _checked_stable_pair(alpha, c, a, b)
    u, beta, p = 1 - alpha * b, b - a, 2 * (1 + c) - alpha * (b * (1 + c) - a * (1 - c))
    common = alpha / ((1 - c * u) * beta * p)
    return Variance(Q=common * ((1 + c) * (1 - c * u) - 2 * c * alpha * a), T=common * (1 - c) * (1 + c * u))


def single_variance(rate: float, beta: float) -> float:
    """Return V₁ = (1−λ)/((1+λ)β²), the variance of the single network θ ← θ − α′(βθ − noise), λ = 1 − α′β = `rate`."""
    return (1 - rate) / ((1 + rate) * beta**2)


def ratios(alpha: float, c: float, a: float, b: float) -> Ratios:
    """Return both variances over V₁, the variance of the single network of the same rate λ₁.

    For 0 < a < b, 0 < αb < 1, 0 < c < 1: Var T < V₁ < Var Q, strictly. T has the rate *and* the variance of a single
    network iff c(1−αb) = 0.

    Args:
        alpha: size of a gradient step, above 0.
        c: weight of the old target, in [0, 1).
        a: coefficient of the target w in the TD step.
        b: coefficient of the online parameter θ in the TD step.

    Returns:
        Var T/V₁ = (1−λ₂)(1+λ₁λ₂)/[(1+λ₂)(1−λ₁λ₂)] and
        Var Q/V₁ = 1 + 2(1−λ₁)(c−λ₂)(1−cλ₂)/[(1−c)²(1−λ₁λ₂)(1+λ₂)].

    Raises:
        ValueError: the pair is unstable, or the eigenvalues are complex, so that no single network has that rate.
    """
    alpha, c = _checked_stable_pair(alpha, c, a, b)
    pair = eigenvalues(alpha, c, a, b)
    if np.abs(pair.imag).max() > 0:
        raise ValueError("the eigenvalues are complex: no single network has this rate")
    first, second = pair.real
    product = first * second
    target = (1 - second) * (1 + product) / ((1 + second) * (1 - product))
    excess = 2 * (1 - first) * (c - second) * (1 - c * second)
    return Ratios(Q=float(1 + excess / ((1 - c) ** 2 * (1 - product) * (1 + second))), T=float(target))


def saturated_c(period: int, gamma: float) -> float:
    """Return c with 1 − c = (1 − γ^{1/N})/(1 − γ), a soft target as fast as hard copies every N = `period` steps.

    It holds for αbN ≫ 1, when Q has solved its regression before T moves, so that each copy contracts by γ.
    """
    gamma, N = check_gamma(gamma), check_count("period", period, 1)
    return float(1 - (1 - gamma ** (1 / N)) / (1 - gamma))


def _checked_pair(alpha: float, c: float) -> tuple[float, float]:
    return float(check_alpha(alpha)), float(check_c(c))


def _check_curvature(b: float) -> None:
    if not b > 0:
        raise ValueError(f"b = {b!r} must be above 0: it is the curvature of the Q-network's regression")


def _checked_stable_pair(alpha: float, c: float, a: float, b: float) -> tuple[float, float]:
    """Return (α, c) as floats.

    Args:
        alpha: size of a gradient step.
        c: weight of the old target.
        a: coefficient of the target w in the TD step.
        b: coefficient of the online parameter θ in the TD step.

    Raises:
        ValueError: the pair is unstable or out of range.
    """
    _check_curvature(b)
    if not float(check_alpha(alpha)) < alpha_max(c, a, b):
        raise ValueError(f"alpha = {alpha:g} is not below alpha_max = {alpha_max(c, a, b):g}: no stationary variance")
    return _checked_pair(alpha, c)
