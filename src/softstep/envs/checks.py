"""What an environment must return: numbers that float32 can hold, in one shape.

Anything else ends the run where it occurs. Learned from, it makes the agent diverge, and the agent is blamed for it.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

LARGEST = float(np.finfo(np.float32).max)
"""The largest number of float32."""


class BadValue(ValueError):
    """A number or a shape that an environment must not return; the text begins with `its`."""


class NotFinite(BadValue):
    """A number that is none, or that float32 cannot hold."""


def in_words(error: Exception) -> str:
    """Return what an environment did wrong: the text of BadValue, or the class and the text of its own exception."""
    return str(error) if isinstance(error, BadValue) else f"{type(error).__name__}: {error}"


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


def taken_shape(observation: np.ndarray, declared: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of an environment's first observation, in which all others must come.

    It is the one that the observation space declares; axes of length 1 may be missing or added.

    Raises:
        BadValue: it is another one, or the observation does not consist of numbers.
    """
    if [n for n in observation.shape if n != 1] != [n for n in declared if n != 1]:
        raise _wrong_shape(observation, declared)
    if observation.dtype.kind not in "fiub":
        raise BadValue(f"its observation consists of {observation.dtype}, not of real numbers")
    return observation.shape


def shaped(observation: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """Return an observation as an array; raise BadValue if it has another shape."""
    array = np.asarray(observation)
    if array.shape != shape:
        raise _wrong_shape(array, shape)
    return array


def _wrong_shape(observation: np.ndarray, expected: tuple[int, ...] | None) -> BadValue:
    if observation.dtype == object and observation.shape == ():
        return BadValue(f"its observation is {observation.item()!r}, not an array of shape {expected}")
    return BadValue(f"its observation has shape {observation.shape}, not {expected}")


def check_finite(values: np.ndarray, quantity: str = "observation") -> None:
    """Raise NotFinite if one of the float32 numbers is NaN or infinite."""
    flat = values.reshape(-1)
    try:
        if not math.isnan(flat.dot(_zeros(flat.size))):  # NaN·0 and ∞·0 are NaN; the fastest test that NumPy has
            return
    except (RuntimeWarning, FloatingPointError):  # where warnings are errors, ∞·0 is one
        pass
    bad = flat[~np.isfinite(flat)]
    raise NotFinite(f"its {quantity} holds {bad[0]}, which is not a finite number of float32")


@functools.cache
def _zeros(size: int) -> np.ndarray:
    return np.zeros(size, np.float32)
