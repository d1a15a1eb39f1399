"""MLPs as arrays, and PyTorch's in float64 with the same numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def shapes(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Of weights and biases, layer by layer."""
    return [shape for i, j in itertools.pairwise(sizes) for shape in ((j, i), (j,))]


def drawn(sizes: Sequence[int], seed: int) -> list[np.ndarray]:
    """Weights and biases that keep the numbers of every layer near 1."""
    rng = np.random.default_rng(seed)
    scales = [scale for fan_in in sizes[:-1] for scale in ((2 / fan_in) ** 0.5, 1)]
    return [scale * rng.standard_normal(s).astype(np.float32) for s, scale in zip(shapes(sizes), scales, strict=True)]


def doubled(array: Any) -> torch.Tensor:
    """PyTorch's copy of an array, in float64."""
    return torch.tensor(np.array(array, np.float64))


def by_torch(params: Sequence[Any]) -> torch.nn.Sequential:
    """The MLP with these weights and biases."""
    layers = [(torch.nn.Linear(*weight.shape[::-1]), torch.nn.ReLU()) for weight in params[::2]]
    model = torch.nn.Sequential(*itertools.chain(*layers))[:-1]
    for own, array in zip(model.parameters(), params, strict=True):
        own.data = doubled(array)
    return model


def assert_near(ours: np.ndarray, theirs: np.ndarray, error: float = 1e-5) -> None:
    """Equal but for rounding, which is a share of the largest number."""
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=error * np.abs(theirs).max())
