"""A pytree of many small arrays packed into one array per dtype: a compiled call costs microseconds per array."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

Packed = tuple[Array, ...]
"""Arrays (W, n), one per dtype."""


class Packing(NamedTuple):
    """Both directions, to be called inside compiled programs; exact."""

    pack: Callable[[Any], Packed]
    unpack: Callable[[Packed], Any]


def make_packing(like: Any) -> Packing:
    """Build the packing of pytrees with the structure, shapes (W, …) and dtypes of `like` (arrays or their shapes)."""
    leaves, structure = jax.tree.flatten(like)
    groups: dict[Any, list[int]] = {}
    for i, leaf in enumerate(leaves):
        groups.setdefault(leaf.dtype, []).append(i)

    def pack(tree: Any) -> Packed:
        arrays = jax.tree.leaves(tree)
        return tuple(
            jnp.concatenate([arrays[i].reshape(len(arrays[i]), -1) for i in group], axis=1) for group in groups.values()
        )

    def unpack(packed: Packed) -> Any:
        parts: dict[int, Array] = {}
        for array, group in zip(packed, groups.values(), strict=True):
            sizes = [int(np.prod(leaves[i].shape[1:])) for i in group]
            ends = list(itertools.accumulate(sizes))
            for i, start, end in zip(group, [0, *ends], ends, strict=False):
                parts[i] = array[:, start:end].reshape(leaves[i].shape)
        return jax.tree.unflatten(structure, [parts[i] for i in range(len(leaves))])

    return Packing(pack, unpack)
