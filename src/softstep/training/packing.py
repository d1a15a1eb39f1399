"""A pytree of many small arrays as one array per dtype: a compiled call costs microseconds for every array it takes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

Flat = tuple[Array, ...]
"""Arrays (W, n), one per dtype."""


class Codec(NamedTuple):
    """Both directions, to be called inside compiled programs; exact."""

    flatten: Callable[[Any], Flat]
    unflatten: Callable[[Flat], Any]


def codec(like: Any) -> Codec:
    """The codec of pytrees with the structure, shapes (W, …) and dtypes of `like` (arrays or their shapes)."""
    leaves, structure = jax.tree.flatten(like)
    groups: dict[Any, list[int]] = {}
    for i, leaf in enumerate(leaves):
        groups.setdefault(leaf.dtype, []).append(i)

    def flatten(tree: Any) -> Flat:
        now = jax.tree.leaves(tree)
        return tuple(
            jnp.concatenate([now[i].reshape(len(now[i]), -1) for i in group], axis=1) for group in groups.values()
        )

    def unflatten(flat: Flat) -> Any:
        found: dict[int, Array] = {}
        for array, group in zip(flat, groups.values(), strict=True):
            sizes = [int(np.prod(leaves[i].shape[1:])) for i in group]
            ends = list(itertools.accumulate(sizes))
            for i, start, end in zip(group, [0, *ends], ends, strict=False):
                found[i] = array[:, start:end].reshape(leaves[i].shape)
        return jax.tree.unflatten(structure, [found[i] for i in range(len(leaves))])

    return Codec(flatten, unflatten)
