"""MLPs as arrays, and PyTorch's in float64 with the same numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch

Arrays = tuple[np.ndarray, ...]


def shapes(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Of weights and biases, layer by layer."""
    return [shape for i, j in itertools.pairwise(sizes) for shape in ((j, i), (j,))]


def drawn(sizes: Sequence[int], seed: int) -> Arrays:
    """Weights and biases of one agent that keep the numbers of every layer near 1."""
    rng = np.random.default_rng(seed)
    return tuple((rng.standard_normal(s) * (2 / s[-1]) ** (len(s) / 2 - 0.5)).astype(np.float32) for s in shapes(sizes))


def stacked(agents: Sequence[Arrays]) -> Arrays:
    """One set of arrays for all agents."""
    return tuple(np.stack(arrays) for arrays in zip(*agents, strict=True))


def by_torch(params: Arrays) -> torch.nn.Sequential:
    """The MLP with these weights and biases."""
    linear = [torch.nn.Linear(*weight.shape[::-1], dtype=torch.float64) for weight in params[::2]]
    model = torch.nn.Sequential(*itertools.islice(itertools.chain(*((m, torch.nn.ReLU()) for m in linear)), 2 * len(linear) - 1))
    for mine, given in zip(model.parameters(), params, strict=True):
        mine.data = torch.tensor(np.asarray(given), dtype=torch.float64)
    return model


def assert_near(ours: np.ndarray, theirs: np.ndarray, error: float = 1e-5) -> None:
    """Equal but for the rounding of float32, which is of the size of the largest number."""
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=error * np.abs(theirs).max())
