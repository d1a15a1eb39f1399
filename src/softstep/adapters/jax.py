"""Target updates of JAX pytrees: parameter dictionaries, Equinox modules, flax.nnx modules.

    target = soft_update(target, online, tau=0.005)          T ← c·T + (1 − c)·Q,  c = 1 − τ

    follow = target_update(TargetUpdate(tau=0.005))          a pair (init, update), as in optax
    state = follow.init(online)
    ...
    state = follow.update(online, state)                     after every gradient step; updates at every period-th
    q_next = apply(state.target, next_observation)

Floating-point leaves are blended, except for the statistics of BatchNorm; every other array is copied. Leaves that are
not arrays (activation functions, for example) stay the target's own. All functions are pure: they may be jitted and
vmapped, states may be donated and sharded, and τ may be traced.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softstep.target import TargetUpdate, blend

Pytree = Any
Role = Literal["blended", "copied", "kept"]

STATISTICS = "batch_stats"
"""The key under which flax.linen keeps BatchNorm's statistics, which are copied.

In flax.nnx every variable but `nnx.Param` is copied.
"""


def soft_update(
    target: Pytree, online: Pytree, tau: Any, *, copied: Callable[[str], bool] = lambda path: False
) -> Pytree:
    """Move the target a fraction τ of the way to the online network, leaf by leaf.

    The arithmetic is in float32 or wider, the result in the target's dtypes. Below float32 a small τ therefore stalls;
    `target_update` does not stall. Source: Lillicrap et al. 2015, algorithm 1.

    Args:
        target: pytree of the target.
        online: pytree of the online network, of the same structure and shapes.
        tau: weight of the *new* parameters, a number in (0, 1] or a traced scalar; 1 copies bit for bit.
        copied: given the path of a floating-point leaf (as in `jax.tree_util.keystr`), whether to copy the leaf rather
            than blend it.

    Returns:
        c·T + τ·Q with c = 1 − τ.

    Raises:
        ValueError: τ is a number outside (0, 1], or the structures or shapes differ; it names the first such leaf.
    """
    _check_tau(tau)
    pairs, structure = _pair_leaves(target, online, copied)
    return jax.tree.unflatten(structure, [pair.updated(pair.old, tau) for pair in pairs])


def hard_update(target: Pytree, online: Pytree) -> Pytree:
    """Return a copy of the online network in the target's dtypes. Source: Mnih et al. 2015."""
    return soft_update(target, online, 1.0)


class TargetState(NamedTuple):
    """A target network and its clock."""

    target: Pytree
    """The target, in the dtypes of the online network."""
    wide: tuple[jax.Array | None, ...]
    """The float32 value of each leaf narrower than float32, so that it does not stall; None for other leaves."""
    gradient_steps: jax.Array
    """Gradient steps counted so far."""


class TargetTransformation(NamedTuple):
    """A pair of pure functions, as in optax."""

    init: Callable[[Pytree], TargetState]
    """online network → state. The target starts as a copy, in buffers of its own."""
    update: Callable[..., TargetState]
    """(online network after a gradient step, state, tau=None) → state. A `tau` replaces the rule's own at this step."""


def target_update(update: TargetUpdate, *, copied: Callable[[str], bool] = lambda path: False) -> TargetTransformation:
    """Return the functions of a target that follows by the rule `update`, counted in gradient steps.

    `copied` has the same meaning as in `soft_update`.
    """

    def init(online: Pytree) -> TargetState:
        target = jax.tree.map(lambda leaf: jnp.array(leaf) if _is_array(leaf) else leaf, online)
        pairs, _ = _pair_leaves(target, online, copied)
        wide = tuple(pair.old.astype(jnp.float32) if pair.is_narrow else None for pair in pairs)
        return TargetState(target, wide, jnp.zeros((), jnp.int32))

    def advance(online: Pytree, state: TargetState, tau: Any = None) -> TargetState:
        tau = update.tau if tau is None else tau
        _check_tau(tau)
        count = state.gradient_steps + 1
        is_due = count % update.period == 0
        pairs, structure = _pair_leaves(state.target, online, copied)
        target, wide = list[Any](), list[jax.Array | None]()
        for pair, precise in zip(pairs, state.wide, strict=True):
            old = pair.old if precise is None else precise
            new = old if pair.role == "kept" else jnp.where(is_due, pair.updated(old, tau), old)
            wide.append(None if precise is None else new)
            target.append(new if precise is None else new.astype(pair.old.dtype))
        return TargetState(jax.tree.unflatten(structure, target), tuple(wide), count)

    return TargetTransformation(init, advance)


class _Pair(NamedTuple):
    """A leaf of the target, the same leaf of the online network, and what the update does with them."""

    role: Role
    old: Any
    new: Any

    @property
    def is_narrow(self) -> bool:
        """Whether the leaf would stall in its own dtype."""
        return self.role == "blended" and jnp.finfo(self.old.dtype).bits < 32

    def updated(self, old: Any, tau: Any) -> Any:
        """Return the updated value of `old`, which is the target's leaf, possibly in a wider dtype; keep that dtype."""
        if self.role != "blended":
            return old if self.role == "kept" else self.new
        wide = jnp.promote_types(old.dtype, jnp.float32)
        tau = jnp.asarray(tau, jnp.finfo(wide).dtype)
        return blend(old.astype(wide), self.new.astype(wide), tau, where=jnp.where).astype(old.dtype)


def _check_tau(tau: Any) -> None:
    if not isinstance(tau, (jax.Array, np.ndarray)) and not 0 < tau <= 1:
        TargetUpdate(tau)  # raises ValueError


def _pair_leaves(target: Pytree, online: Pytree, copied: Callable[[str], bool]) -> tuple[list[_Pair], Any]:
    """Return the leaves in pairs, and the structure of the target."""
    old, structure = jax.tree_util.tree_flatten_with_path(target)
    new, _ = jax.tree_util.tree_flatten_with_path(online)
    for (old_path, _), (new_path, _) in zip(old, new, strict=False):
        if old_path != new_path:
            raise ValueError(f"target and online network differ: {_name(old_path)} against {_name(new_path)}")
    if len(old) != len(new):
        path = (old if len(old) > len(new) else new)[min(len(old), len(new))][0]
        raise ValueError(f"target and online network differ: only one of them has {_name(path)}")
    pairs = []
    for (path, leaf), (_, other), is_state in zip(old, new, _nnx_states(target), strict=True):
        if _is_array(leaf) and np.shape(leaf) != np.shape(other):
            raise ValueError(
                f"target and online network differ at {_name(path)}: shape {np.shape(leaf)} against {np.shape(other)}"
            )
        is_state = is_state or any(getattr(step, "key", getattr(step, "name", None)) == STATISTICS for step in path)
        pairs.append(_Pair(_role(leaf, is_state or copied(_name(path))), leaf, other))
    return pairs, structure


def _role(leaf: Any, is_copied: bool) -> Role:
    if not _is_array(leaf):
        return "kept"
    return "copied" if is_copied or not jnp.issubdtype(leaf.dtype, jnp.inexact) else "blended"


def _nnx_states(tree: Pytree) -> Iterator[bool]:
    """Yield, for every leaf, whether it belongs to a flax.nnx variable that is not a parameter."""
    nnx = sys.modules.get("flax.nnx")
    if nnx is None:
        return iter([False] * len(jax.tree.leaves(tree)))
    nodes = jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, nnx.Variable))
    marked = ((node, isinstance(node, nnx.Variable) and not isinstance(node, nnx.Param)) for node in nodes)
    return (is_state for node, is_state in marked for _ in jax.tree.leaves(node))


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (jax.Array, np.ndarray))


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path)
