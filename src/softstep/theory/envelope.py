"""How far an iteration z ← M·z has moved from 0, over any number of steps, at the cost of a few hundred of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from softstep.theory.checks import Array, check_count, real_array

SAMPLES = 64
"""Largest number of steps of a stretch that are looked at: more than an oscillation needs for its peak to be seen."""


class Envelope(NamedTuple):
    """The largest length of each part of z in consecutive stretches of steps."""

    start: np.ndarray
    """The first step of each stretch, shape (stretches,)."""
    size: Array
    """Largest Euclidean length of each part within a stretch, shape (parts, stretches)."""
    stride: int
    """Steps per stretch; with 1, `size` is the length at every step."""


def envelope(matrix: Any, steps: int, *, parts: int = 1, points: int = 240) -> Envelope:
    """Iterate z ← M·z from z = (1, …, 1) and return how long each part of z is over `steps` steps.

    Few points of an oscillation alias into another one; the largest length within a stretch does not.

    Args:
        matrix: M, shape (n, n).
        steps: number of steps.
        parts: number of equal parts into which z is split, for example 2 for (θ, w).
        points: largest number of stretches.

    Raises:
        ValueError: M is not square, its size is not a multiple of `parts`, or a count is too small.
    """
    M = real_array("matrix", matrix, 2)
    count, most = check_count("steps", steps, 0) + 1, check_count("points", points, 1)
    if M.shape[0] != M.shape[1] or len(M) % check_count("parts", parts, 1):
        raise ValueError(f"matrix has shape {M.shape}: it must be square, with a size that {parts} parts divide")
    stride = -(-count // most)
    gap = -(-stride // SAMPLES)
    with np.errstate(over="ignore", invalid="ignore"):
        starts = _orbit(np.linalg.matrix_power(M, stride), np.ones((len(M), 1)), -(-count // stride))
        powers = _orbit(np.linalg.matrix_power(M, gap), np.eye(len(M)), -(-stride // gap))
        visited = powers @ starts[:, :, 0].T  # (samples, n, stretches)
        lengths = np.linalg.norm(visited.reshape(len(powers), parts, -1, len(starts)), axis=2)
    return Envelope(stride * np.arange(len(starts)), lengths.max(axis=0), stride)


def _orbit(matrix: Array, first: Array, count: int) -> Array:
    """Return first, M·first, M²·first, …, shape (count, *first.shape)."""
    orbit = [first]
    for _ in range(count - 1):
        orbit.append(matrix @ orbit[-1])
    return np.array(orbit)
