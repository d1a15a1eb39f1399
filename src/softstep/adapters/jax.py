"""Target updates of JAX pytrees: parameter dictionaries, Equinox modules, flax.nnx modules.

    target = soft_update(target, online, tau=0.005)          T ← c·T + (1 − c)·Q,  c = 1 − τ

    follow = target_update(TargetUpdate(tau=0.005))          in optax's manner: a pair (init, update)
    state = follow.init(online)
    ...
    state = follow.update(online, state)                     after every gradient step; fires at every period-th
    q_next = apply(state.target, next_observation)

Floating-point leaves are blended, except for the statistics of BatchNorm; every other array is copied; what is no
array (an activation function) stays the target's. Pure: may be jitted, vmapped, donated and sharded; τ may be traced.
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
"""Where flax.linen keeps the statistics of BatchNorm, which are copied. (flax.nnx: every variable but `nnx.Param`.)"""


def soft_update(
    target: Pytree, online: Pytree, tau: Any, *, copied: Callable[[str], bool] = lambda path: False
) -> Pytree:
    """The target moved a share τ of the way to the online network: c·T + τ·Q with c = 1 − τ, leaf by leaf.

    target, online: pytrees of one structure and one shape. tau: weight of the *new* parameters, a number in (0, 1] or
    a traced scalar; 1 copies bit for bit. copied: (path, as in `jax.tree_util.keystr`) → whether a floating-point leaf
    is copied all the same. The arithmetic is in float32 or wider; the result has the target's dtypes, and below float32
    a small τ stalls: `target_update` does not.
    Errors: ValueError for a number τ outside (0, 1], and with the first leaf that differs in place or shape.
    Source: Lillicrap et al. 2015, algorithm 1.
    """
    _check(tau)
    pairs, structure = _pair(target, online, copied)
    return jax.tree.unflatten(structure, [pair.moved(pair.old, tau) for pair in pairs])


def hard_update(target: Pytree, online: Pytree) -> Pytree:
    """A copy of the online network in the target's dtypes. Source: Mnih et al. 2015."""
    return soft_update(target, online, 1.0)


class TargetState(NamedTuple):
    """A target network and its clock."""

    target: Pytree
    """The target, in the dtypes of the online network."""
    wide: tuple[jax.Array | None, ...]
    """For each of its leaves narrower than float32 its value in float32, so that it does not stall; None for others."""
    gradient_steps: jax.Array
    """Gradient steps counted so far."""


class TargetTransformation(NamedTuple):
    """A pair of pure functions, as in optax."""

    init: Callable[[Pytree], TargetState]
    """online network → state; the target starts as a copy, in buffers of its own."""
    update: Callable[..., TargetState]
    """(online network after a gradient step, state, tau=None) → state; `tau`, where given, is this step's."""


def target_update(update: TargetUpdate, *, copied: Callable[[str], bool] = lambda path: False) -> TargetTransformation:
    """The functions of a target that follows as `update` says, counted in gradient steps; `copied` as above."""

    def init(online: Pytree) -> TargetState:
        target = jax.tree.map(lambda leaf: jnp.array(leaf) if _is_array(leaf) else leaf, online)
        pairs, _ = _pair(target, online, copied)
        wide = tuple(pair.old.astype(jnp.float32) if pair.is_narrow else None for pair in pairs)
        return TargetState(target, wide, jnp.zeros((), jnp.int32))

    def advance(online: Pytree, state: TargetState, tau: Any = None) -> TargetState:
        share = update.tau if tau is None else tau
        _check(share)
        count = state.gradient_steps + 1
        fire = count % update.period == 0
        pairs, structure = _pair(state.target, online, copied)
        target, wide = list[Any](), list[jax.Array | None]()
        for pair, precise in zip(pairs, state.wide, strict=True):
            old = pair.old if precise is None else precise
            new = old if pair.role == "kept" else jnp.where(fire, pair.moved(old, share), old)
            wide.append(None if precise is None else new)
            target.append(new if precise is None else new.astype(pair.old.dtype))
        return TargetState(jax.tree.unflatten(structure, target), tuple(wide), count)

    return TargetTransformation(init, advance)


class _Pair(NamedTuple):
    """A leaf of the target and of the online network."""

    role: Role
    old: Any
    new: Any

    @property
    def is_narrow(self) -> bool:
        """Whether it would stall in its own dtype."""
        return self.role == "blended" and jnp.finfo(self.old.dtype).bits < 32

    def moved(self, old: Any, tau: Any) -> Any:
        """What becomes of `old`, in its dtype; it may be the leaf of the target in a wider one."""
        if self.role != "blended":
            return old if self.role == "kept" else self.new
        wide = jnp.promote_types(old.dtype, jnp.float32)
        share = jnp.asarray(tau, jnp.finfo(wide).dtype)
        return blend(old.astype(wide), self.new.astype(wide), share, where=jnp.where).astype(old.dtype)


def _check(tau: Any) -> None:
    if not isinstance(tau, (jax.Array, np.ndarray)) and not 0 < tau <= 1:
        TargetUpdate(tau)  # complains


def _pair(target: Pytree, online: Pytree, copied: Callable[[str], bool]) -> tuple[list[_Pair], Any]:
    """The leaves side by side, and the structure of the target."""
    old, structure = jax.tree_util.tree_flatten_with_path(target)
    new, _ = jax.tree_util.tree_flatten_with_path(online)
    for (here, _), (there, _) in zip(old, new, strict=False):
        if here != there:
            raise ValueError(f"target and online network differ: {_name(here)} against {_name(there)}")
    if len(old) != len(new):
        path = (old if len(old) > len(new) else new)[min(len(old), len(new))][0]
        raise ValueError(f"target and online network differ: only one of them has {_name(path)}")
    states = _states(target)
    pairs = []
    for (path, leaf), (_, other), state in zip(old, new, states, strict=True):
        if _is_array(leaf) and np.shape(leaf) != np.shape(other):
            raise ValueError(
                f"target and online network differ at {_name(path)}: shape {np.shape(leaf)} against {np.shape(other)}"
            )
        state = state or any(getattr(step, "key", getattr(step, "name", None)) == STATISTICS for step in path)
        pairs.append(_Pair(_role(leaf, state or copied(_name(path))), leaf, other))
    return pairs, structure


def _role(leaf: Any, state: bool) -> Role:
    if not _is_array(leaf):
        return "kept"
    return "copied" if state or not jnp.issubdtype(leaf.dtype, jnp.inexact) else "blended"


def _states(tree: Pytree) -> Iterator[bool]:
    """For every leaf whether it lies in a flax.nnx variable that is no parameter."""
    nnx = sys.modules.get("flax.nnx")
    if nnx is None:
        return iter([False] * len(jax.tree.leaves(tree)))
    nodes = jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, nnx.Variable))
    marked = ((node, isinstance(node, nnx.Variable) and not isinstance(node, nnx.Param)) for node in nodes)
    return (state for node, state in marked for _ in jax.tree.leaves(node))


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (jax.Array, np.ndarray))


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path)
