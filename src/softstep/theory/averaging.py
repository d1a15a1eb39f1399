"""One network blended with itself, the smaller rate this amounts to, and related weight averages."""

from __future__ import annotations

from typing import Any

import numpy as np

from softstep.theory.checks import Array, Mask, check_alpha, check_c, check_count, real_array

_SIGNIFICAND_BITS = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}


def blended_alpha(alpha: float, c: float) -> float:
    """Return α′ = (1−c)·α, the rate at which W ← c·W + (1−c)·(W + α·s(W)) is exactly plain descent.

    At α = 1 (a unit step) α′ = 1 − c. In general α′ lies in (0, α], so blending only shrinks the rate.
    """
    return (1 - float(check_c(c))) * float(check_alpha(alpha))


def lookahead_alpha(alpha: float, c: float, k: int, b: float) -> float:
    """Return the rate of plain descent that decays as fast per step as Lookahead.

    Lookahead takes k steps at α, blends c·old + (1−c)·new and *resets* the fast weights. For k ≥ 2 the rate α′
    depends on the curvature, so it is not a learning rate; k = 1 gives (1−c)·α.
    Source: Zhang et al. 2019, "Lookahead Optimizer".

    Args:
        alpha: rate of the fast weights, above 0.
        c: weight of the old slow weights, in [0, 1).
        k: fast steps between two blends, at least 1.
        b: curvature of the loss, above 0.

    Returns:
        α′ = [1 − (c + (1−c)(1−αb)^k)^{1/k}]/b, or nan if the contraction over k steps is negative, which no plain α′
        in (0, 1/b] has.

    Raises:
        ValueError: b ≤ 0, k < 1, or alpha or c is out of range.
    """
    c, alpha, k = float(check_c(c)), float(check_alpha(alpha)), check_count("k", k, 1)
    if not b > 0:
        raise ValueError(f"b = {b!r} must be above 0: it is the curvature of the loss")
    contraction = c + (1 - c) * (1 - alpha * b) ** k
    if k == 1:
        return (1 - contraction) / b
    return float((1 - contraction ** (1 / k)) / b) if contraction >= 0 else float("nan")


def lookahead_limit(c: float, k: int) -> float:
    """Return the largest αb at which Lookahead contracts: 1 + ((1+c)/(1−c))^{1/k} for odd k, 2 for even k."""
    c, k = float(check_c(c)), check_count("k", k, 1)
    return 1 + ((1 + c) / (1 - c)) ** (1 / k) if k % 2 else 2.0


def ema_variance_ratio(alpha: float, c: float, b: float) -> float:
    """Return the variance of a weight average that is *not* fed back over the variance of the weights.

    The ratio is (1−c)(1+cr)/((1+c)(1−cr)). Here r = 1 − αb is the decay per step of stochastic descent on curvature b
    with white step noise. Raises ValueError unless |r| < 1.
    Source of the setting: Busbridge et al. 2023, "How to scale your EMA".
    """
    c, r = float(check_c(c)), 1 - float(check_alpha(alpha)) * b
    if not abs(r) < 1:
        raise ValueError(f"alpha*b = {1 - r:g} is outside (0, 2): the weights have no stationary variance")
    return (1 - c) * (1 + c * r) / ((1 + c) * (1 - c * r))


def stall_gap(c: float, precision: str) -> float:
    """Return the relative gap |Q − T|/|T| below which T + τ·(Q − T) rounds back to T.

    It is u/τ at T = 1, with the unit roundoff u = 2^−p for p significand bits: 8 in bfloat16, 11 in float16, 24 in
    float32, 53 in float64. This is the worst case over T; at other significands the gap is down to half of it.
    """
    return float(2.0 ** -_significand_bits(precision) / (1 - float(check_c(c))))


def stalls(gap: Any, c: float, precision: str) -> Mask:
    """Return whether T + τ·gap rounds back to T at T = 1, with each operation rounded to nearest even.

    `gap` may have any shape and is rounded to `precision` first. The result has the same shape.
    """
    tau = round_to(1 - float(check_c(c)), precision)
    updated = round_to(1 + round_to(tau * round_to(gap, precision), precision), precision)
    return np.asarray(updated == 1)


def round_to(value: Any, precision: str) -> Array:
    """Return `value` rounded to the significand bits of `precision`, ties to even (normal range only)."""
    bits = _significand_bits(precision)
    fraction, exponent = np.frexp(real_array("value", value))
    return np.asarray(np.ldexp(np.rint(np.ldexp(fraction, bits)), exponent - bits))


def _significand_bits(precision: str) -> int:
    if precision not in _SIGNIFICAND_BITS:
        raise ValueError(f"precision = {precision!r} must be one of {', '.join(_SIGNIFICAND_BITS)}")
    return _SIGNIFICAND_BITS[precision]
