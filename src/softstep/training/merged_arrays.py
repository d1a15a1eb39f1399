"""The arrays of a pytree merged into one per dtype, because a compiled call costs microseconds per array."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

MergedArrays = tuple[Array, ...]
"""Arrays (W, n), one per dtype."""


class Merging(NamedTuple):
    """Both directions, to be called inside compiled programs; exact."""

    merge: Callable[[Any], MergedArrays]
    split: Callable[[MergedArrays], Any]


def make_merging(like: Any) -> Merging:
    """Return both directions for pytrees of the structure, shapes (W, …) and dtypes of `like` (arrays or shapes)."""
    leaves, structure = jax.tree.flatten(like)
    groups: dict[Any, list[int]] = {}
    for i, leaf in enumerate(leaves):
        groups.setdefault(leaf.dtype, []).append(i)

    def merge(tree: Any) -> MergedArrays:
        arrays = jax.tree.leaves(tree)
        return tuple(
            jnp.concatenate([arrays[i].reshape(len(arrays[i]), -1) for i in group], axis=1) for group in groups.values()
        )

    def split(merged: MergedArrays) -> Any:
        parts: dict[int, Array] = {}
        for array, group in zip(merged, groups.values(), strict=True):
            sizes = [int(np.prod(leaves[i].shape[1:])) for i in group]
            ends = list(itertools.accumulate(sizes))
            for i, start, end in zip(group, [0, *ends], ends, strict=False):
                parts[i] = array[:, start:end].reshape(leaves[i].shape)
        return jax.tree.unflatten(structure, [parts[i] for i in range(len(leaves))])

    return Merging(merge, split)
