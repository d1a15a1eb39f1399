"""Shape and range checks shared by the theory. Every violation is a ValueError of one clear line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
"""Real numbers in float64."""
Spectrum = npt.NDArray[np.complex128]
"""Complex numbers: eigenvalues, frequency responses."""
Mask = npt.NDArray[np.bool_]
"""Booleans."""


def real_array(name: str, value: Any, ndim: int | None = None) -> Array:
    """Return `value` as a float64 array of finite numbers, after checking that its rank is `ndim`, if any."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of real numbers") from None
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} has shape {array.shape}: expected {ndim} axes")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinity")
    return array


def check_alpha(alpha: Any) -> Array:
    """Return α, one number or many, after checking that it is finite and above 0."""
    if isinstance(alpha, float) and 0 < alpha < np.inf:  # curves ask for many: array checks cost far more
        return np.asarray(alpha, dtype=np.float64)
    array = real_array("alpha", alpha)
    if (array <= 0).any():
        raise ValueError(f"alpha = {array.min():g} must be above 0: it is the size of a gradient step")
    return array


def check_c(c: Any) -> Array:
    """Return c, one number or many, after checking that it lies in [0, 1)."""
    if isinstance(c, float) and 0 <= c < 1:
        return np.asarray(c, dtype=np.float64)
    array = real_array("c", c)
    if ((array < 0) | (array >= 1)).any():
        wrong = array[(array < 0) | (array >= 1)].flat[0]
        raise ValueError(f"c = {wrong:g} is outside [0, 1): it is the weight of the old target (tau = 1 - c)")
    return array


def check_schedule(c: Any, steps: int) -> Array:
    """Return c as one weight per step, shape (steps,).

    `c` is a scalar in [0, 1) or a schedule in [0, 1]: a sequence of length `steps`, or a function of the gradient step,
    which is counted from 1. An entry of 1 means no update at that step; hard copies have the schedule 1, 1, …, 0.
    """
    if callable(c):
        c = real_array("c", [c(step) for step in range(1, steps + 1)], 1)
    array = real_array("c", c)
    if array.ndim == 0:
        return np.full(steps, float(check_c(array)))
    if array.shape != (steps,):
        raise ValueError(f"c has shape {array.shape}: expected one number, or one for each of {steps} steps")
    outside = array[(array < 0) | (array > 1)]
    if outside.size:
        raise ValueError(
            f"the schedule c contains {outside[0]:g}, outside [0, 1]: each entry is the weight of the old target"
        )
    return array


def check_count(name: str, value: Any, minimum: int) -> int:
    """Return `value` as an int, after checking that it is an integer of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < minimum:
        raise ValueError(f"{name} = {value!r} must be an integer, at least {minimum}")
    return int(value)


def check_order(order: str) -> None:
    """Raise ValueError unless the target blends after (`post`) or before (`pre`) the gradient step."""
    if order not in ("post", "pre"):
        raise ValueError(f"order = {order!r} must be 'post' (blend with the new online parameters) or 'pre'")


def check_gamma(gamma: Any) -> float:
    """Return γ as a float, after checking that it lies in [0, 1)."""
    if not (isinstance(gamma, (int, float, np.floating)) and math.isfinite(gamma) and 0 <= gamma < 1):
        raise ValueError(f"gamma = {gamma!r} is outside [0, 1): it is the discount per step")
    return float(gamma)
