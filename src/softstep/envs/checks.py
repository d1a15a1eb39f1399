"""What an environment must return: numbers that float32 can hold, in one shape.

Anything else ends the run where it occurs. Learned from, it makes the agent diverge, and the agent is blamed for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from softstep.errors import BadValue, NotFinite

LARGEST = float(np.finfo(np.float32).max)
"""The largest number of float32."""


def reward_number(reward: Any) -> float:
    """Return a reward as a Python float; an array of shape (1,) counts as the number in it.

    Raises:
        BadValue: it is an array of another shape.
        NotFinite: it is None, not finite, or beyond float32.
    """
    if not isinstance(reward, float):  # NumPy's float64 is one
        reward = _one_number(reward)
    if not -LARGEST <= reward <= LARGEST:
        kind = "beyond float32" if math.isfinite(reward) else "not a finite number"
        raise NotFinite(f"its reward is {reward}, {kind}")
    return reward


def _one_number(reward: Any) -> float:
    if isinstance(reward, (int, np.generic)):
        return float(reward)
    if reward is None:
        raise NotFinite("its reward is None, not a number")
    shape = np.shape(reward)
    if shape not in ((), (1,)):
        raise BadValue(f"its reward is an array of shape {shape}, not a number")
    return float(np.asarray(reward).item()) if shape else float(reward)


def check_first(observation: np.ndarray, declared: tuple[int, ...]) -> None:
    """Check an environment's first observation, in whose shape all others must come.

    It is the shape that the observation space declares; axes of length 1 may be missing or added.

    Raises:
        BadValue: it is another one, or the observation does not consist of numbers.
    """
    if [n for n in observation.shape if n != 1] != [n for n in declared if n != 1]:
        raise _wrong_shape(observation, declared)
    _check_kind(observation)


def shaped(observation: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return an observation as an array; raise BadValue if it has another shape, or does not consist of numbers."""
    array = np.asarray(observation)
    if array.shape != shape:
        raise _wrong_shape(array, shape)
    _check_kind(array)
    return array


def _check_kind(observation: np.ndarray) -> None:
    if observation.dtype.kind not in "fiub":
        raise BadValue(f"its observation consists of {observation.dtype}, not of real numbers")


def _wrong_shape(observation: np.ndarray, expected: tuple[int, ...]) -> BadValue:
    if observation.dtype == object and observation.shape == ():
        return BadValue(f"its observation is {observation.item()!r}, not an array of shape {expected}")
    return BadValue(f"its observation has shape {observation.shape}, not {expected}")


def check_finite(values: np.ndarray, quantity: str = "observation") -> None:
    """Raise NotFinite if one of the float32 numbers is NaN or infinite."""
    bad = values[~np.isfinite(values)]
    if bad.size:
        raise NotFinite(f"its {quantity} holds {bad[0]}, which is not a finite number of float32")


def finite_check(values: np.ndarray) -> Callable[[], None]:
    """Return a function that does as `check_finite` to the numbers that a contiguous array then holds, but faster."""
    flat = values.reshape(-1)
    dot, zeros = flat.dot, np.zeros(flat.size, np.float32)

    def check() -> None:
        try:
            if dot(zeros) == 0:  # NaN·0 and ∞·0 are NaN; the fastest test that NumPy has
                return
        except (RuntimeWarning, FloatingPointError):  # where warnings are errors, ∞·0 is one
            pass
        check_finite(flat)

    return check
