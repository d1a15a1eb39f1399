"""One network blended with itself: the smaller rate it amounts to, and what averaging in other places does instead."""

from __future__ import annotations

from typing import Any

import numpy as np

from softstep.theory.checks import Array, Mask, check_alpha, check_c, check_count, real_array

_SIGNIFICAND_BITS = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}


def blended_alpha(alpha: float, c: float) -> float:
    """α′ = (1−c)·α: the rate at which W ← c·W + (1−c)·(W + α·s(W)) is plain descent, exactly.

    At α = 1 (a unit step) α′ = 1 − c; in general α′ lies in (0, α], so blending only shrinks.
    """
    return (1 - float(check_c(c))) * float(check_alpha(alpha))


def lookahead_alpha(alpha: float, c: float, k: int, b: float) -> float:
    """The rate α′ with the same decay per step as Lookahead, on curvature b: [1 − (c + (1−c)(1−αb)^k)^{1/k}]/b.

    Lookahead takes k steps at α, blends c·old + (1−c)·new and *resets* the fast weights. α′ depends on b for
    k ≥ 2, so it is no learning rate. k = 1 gives (1−c)·α. Source: Zhang et al. 2019, "Lookahead Optimizer".
    Returns: nan where the contraction over k steps is negative, which no plain α′ in (0, 1/b] has.
    Errors: ValueError where b ≤ 0 or k < 1.
    """
    c, alpha, k = float(check_c(c)), float(check_alpha(alpha)), check_count("k", k, 1)
    if not b > 0:
        raise ValueError(f"b = {b!r} must be above 0: it is the curvature of the loss")
    contraction = c + (1 - c) * (1 - alpha * b) ** k
    if k == 1:
        return (1 - contraction) / b
    return float((1 - contraction ** (1 / k)) / b) if contraction >= 0 else float("nan")


def lookahead_limit(c: float, k: int) -> float:
    """Largest αb at which Lookahead contracts: 1 + ((1+c)/(1−c))^{1/k} for odd k, 2 for even k."""
    c, k = float(check_c(c)), check_count("k", k, 1)
    return 1 + ((1 + c) / (1 - c)) ** (1 / k) if k % 2 else 2.0


def ema_variance_ratio(alpha: float, c: float, b: float) -> float:
    """Variance of an average of weights that is *not* fed back, over that of the weights: (1−c)(1+cr)/((1+c)(1−cr)).

    r = 1 − αb is the decay per step of stochastic descent on curvature b with white step noise; needs |r| < 1.
    Source of the setting: Busbridge et al. 2023, "How to scale your EMA".
    """
    c, r = float(check_c(c)), 1 - float(check_alpha(alpha)) * b
    if not abs(r) < 1:
        raise ValueError(f"alpha*b = {1 - r:g} is outside (0, 2): the weights have no stationary variance")
    return (1 - c) * (1 + c * r) / ((1 + c) * (1 - c * r))


def stall_gap(c: float, precision: str) -> float:
    """Relative gap |Q − T|/|T| below which T + τ·(Q − T) rounds back to T: u/τ at T = 1, u the unit roundoff.

    u = 2^−p with p significand bits: 8 bfloat16, 11 float16, 24 float32, 53 float64. The worst case over T; at other
    significands the gap is down to half of it.
    """
    return float(2.0 ** -_bits(precision) / (1 - float(check_c(c))))


def stalls(gap: Any, c: float, precision: str) -> Mask:
    """Whether T = 1 stays where it is under T + τ·gap computed in `precision`, each operation rounded to nearest even.

    gap: any shape, rounded to `precision` first. Returns: booleans of the same shape.
    """
    share = round_to(1 - float(check_c(c)), precision)
    moved = round_to(1 + round_to(share * round_to(gap, precision), precision), precision)
    return np.asarray(moved == 1)


def round_to(value: Any, precision: str) -> Array:
    """`value` rounded to the nearest number of p significand bits, ties to even (normal range)."""
    bits = _bits(precision)
    fraction, exponent = np.frexp(real_array("value", value))
    return np.asarray(np.ldexp(np.rint(np.ldexp(fraction, bits)), exponent - bits))


def _bits(precision: str) -> int:
    if precision not in _SIGNIFICAND_BITS:
        raise ValueError(f"precision = {precision!r} must be one of {', '.join(_SIGNIFICAND_BITS)}")
    return _SIGNIFICAND_BITS[precision]
