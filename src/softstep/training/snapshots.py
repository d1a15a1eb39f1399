"""Pytrees as named arrays in a checkpoint, and back.

The key of a leaf is its path in the tree, for example `learner/online/0/weight`. Version 1 numbered the leaves instead
(`block/000`); such checkpoints can still be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from softstep.errors import StoreError


def to_arrays(tree: Any, prefix: str, parameter_names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the leaves of a pytree by path.

    Args:
        tree: the pytree.
        prefix: put before every path, for example `env/`.
        parameter_names: names of a network's parameters; tuples of that many arrays use them instead of positions.
    """
    named = _named_leaves(tree, prefix, parameter_names)
    return {key: np.array(jax.random.key_data(leaf) if _is_key(leaf) else leaf) for key, leaf in named}


def from_arrays(like: Any, prefix: str, parameter_names: Sequence[str], arrays: Mapping[str, np.ndarray]) -> Any:
    """Rebuild the pytree that `to_arrays` took apart.

    Args:
        like: a pytree of the same structure.
        prefix: as in `to_arrays`.
        parameter_names: as in `to_arrays`.
        arrays: the checkpoint's arrays.

    Raises: StoreError if the checkpoint lacks one of the leaves.
    """
    keys = [key for key, _ in _named_leaves(like, prefix, parameter_names)]
    return _rebuild(like, keys, arrays)


def from_numbered_arrays(like: Any, prefix: str, arrays: Mapping[str, np.ndarray]) -> Any:
    """Rebuild a pytree from a checkpoint of version 1, whose keys are `prefix` and the leaf's number."""
    keys = [f"{prefix}{number:03}" for number in range(len(jax.tree.leaves(like)))]
    return _rebuild(like, keys, arrays)


def _rebuild(like: Any, keys: Sequence[str], arrays: Mapping[str, np.ndarray]) -> Any:
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise StoreError(
            f"the checkpoint has no array {missing[0]!r}: it was written by another version of softstep or for another"
            " configuration; start the run again in another --out"
        )
    leaves, structure = jax.tree.flatten(like)
    read = [_like_leaf(leaf, arrays[key]) for leaf, key in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(structure, read)


def _like_leaf(leaf: Any, array: np.ndarray) -> jax.Array:
    if _is_key(leaf):
        return jax.random.wrap_key_data(jnp.array(array), impl=jax.random.key_impl(leaf))
    return jnp.array(array)


def _named_leaves(tree: Any, prefix: str, parameter_names: Sequence[str]) -> list[tuple[str, Any]]:
    """Return all leaves with their keys, in the order of `jax.tree.leaves`."""

    def is_parameters(node: Any) -> bool:
        plain_tuple = isinstance(node, tuple) and not hasattr(node, "_fields")
        return plain_tuple and len(node) == len(parameter_names) and all(hasattr(leaf, "dtype") for leaf in node)

    named = list[tuple[str, Any]]()
    for path, node in jax.tree_util.tree_leaves_with_path(tree, is_leaf=is_parameters):
        key = prefix + jax.tree_util.keystr(path, simple=True, separator="/")
        if is_parameters(node):
            named += [(f"{key}/{name}", leaf) for name, leaf in zip(parameter_names, node, strict=True)]
        else:
            named.append((key, node))
    if len({key for key, _ in named}) < len(named):
        raise ValueError(f"two leaves of the tree have the same path: {sorted(key for key, _ in named)}")
    return named


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
