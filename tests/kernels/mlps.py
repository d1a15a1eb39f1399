"""MLPs as arrays, and the same MLPs in PyTorch with float64 numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def parameter_shapes(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the shapes of weights and biases, layer by layer."""
    return [shape for i, j in itertools.pairwise(sizes) for shape in ((j, i), (j,))]


def random_mlp(sizes: Sequence[int], seed: int) -> list[np.ndarray]:
    """Draw weights and biases that keep the numbers of every layer near 1."""
    rng = np.random.default_rng(seed)
    scales = [scale for fan_in in sizes[:-1] for scale in ((2 / fan_in) ** 0.5, 1)]
    shapes = parameter_shapes(sizes)
    return [scale * rng.standard_normal(s).astype(np.float32) for s, scale in zip(shapes, scales, strict=True)]


def as_float64(array: Any) -> torch.Tensor:
    """Copy an array to PyTorch, in float64."""
    return torch.tensor(np.array(array, np.float64))


def torch_mlp(params: Sequence[Any]) -> torch.nn.Sequential:
    """Return PyTorch's MLP with these weights and biases."""
    layers = [(torch.nn.Linear(*weight.shape[::-1]), torch.nn.ReLU()) for weight in params[::2]]
    model = torch.nn.Sequential(*itertools.chain(*layers))[:-1]
    for parameter, array in zip(model.parameters(), params, strict=True):
        parameter.data = as_float64(array)
    return model


def assert_near(ours: np.ndarray, theirs: np.ndarray, error: float = 1e-5) -> None:
    """Assert equality up to rounding, which is measured against the largest number."""
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=error * np.abs(theirs).max())
