"""Target updates of JAX pytrees: parameter dictionaries, Equinox modules, flax.nnx modules.

    target = soft_update(target, online, tau=0.005)          T ← c·T + (1 − c)·Q,  c = 1 − τ

    follow = target_update(TargetUpdate(tau=0.005))          a pair (init, update), as in optax
    state = follow.init(online)
    ...
    state = follow.update(online, state)                     after every gradient step; updates at every period-th
    q_next = apply(state.target, next_observation)

Floating-point leaves are blended, Python's and NumPy's numbers included; integers, keys and statistics are copied.
Python's booleans and leaves that are not numbers (activation functions, for example) stay the target's own.
All functions are pure: nothing is changed in place, and the result has buffers of its own. They may be jitted and
vmapped, states may be donated and sharded, and τ may be traced.

These leaves are recognised as statistics: everything under a key or attribute `batch_stats` (flax.linen); `mean` and
`var` beside `scale` or `bias` (flax's BatchNorm as a pure dictionary); every flax.nnx variable but `nnx.Param`;
everything in an Equinox `State` or `StateIndex`; a dictionary of `average`, `counter` and `hidden` (Haiku's moving
averages). Others look like parameters, for example a dictionary of just `mean` and `var`: select them with `copied`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from softstep.extras import required_by
from softstep.target import TargetUpdate, blend, scheduled_tau

with required_by("softstep.adapters.jax", extra="jax"):
    import jax
    import jax.numpy as jnp

Pytree = Any
Role = Literal["blended", "copied", "kept"]


def soft_update(
    target: Pytree, online: Pytree, tau: Any, *, copied: Callable[[str], bool] = lambda path: False
) -> Pytree:
    """Move the target a fraction τ of the way to the online network, leaf by leaf.

    The arithmetic is in float32 or wider, the result in the target's dtypes: an array of NumPy in a dtype that JAX
    does not have (float64, unless `jax_enable_x64`) gives an array of NumPy. Below float32 a small τ therefore stalls;
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
        ValueError: τ is a number outside (0, 1], or the structures or shapes differ, or a leaf would be truncated to
            the target's dtype; it names the first such leaf.
    """
    _check_tau(tau)
    pairs, structure = _pair_leaves(target, online, copied)
    return _like(target, jax.tree.unflatten(structure, [pair.updated(pair.old, tau) for pair in pairs]))


def hard_update(target: Pytree, online: Pytree) -> Pytree:
    """Return a copy of the online network in the target's dtypes. Source: Mnih et al. 2015."""
    return soft_update(target, online, 1.0)


class TargetState(NamedTuple):
    """A target network and its clock."""

    target: Pytree
    """The target, in JAX's arrays, with the dtypes of the online network."""
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

    `copied` has the same meaning as in `soft_update`. Raises ValueError if the γ of a harmonic rule is missing.
    """
    harmonic_steps = update.harmonic_steps

    def init(online: Pytree) -> TargetState:
        target = _like(online, jax.tree.map(lambda leaf: jnp.array(leaf) if _is_learnable(leaf) else leaf, online))
        pairs, _ = _pair_leaves(target, online, copied)
        wide = tuple(pair.old.astype(jnp.float32) if pair.is_narrow else None for pair in pairs)
        return TargetState(target, wide, jnp.zeros((), jnp.int32))

    def advance(online: Pytree, state: TargetState, tau: Any = None) -> TargetState:
        count = state.gradient_steps + 1
        if tau is None and update.schedule == "harmonic":
            tau = scheduled_tau(update.tau, harmonic_steps, count.astype(float), minimum=jnp.minimum)
        tau = update.tau if tau is None else tau
        _check_tau(tau)
        is_due = count % update.period == 0
        pairs, structure = _pair_leaves(state.target, online, copied)
        target, wide = list[Any](), list[jax.Array | None]()
        for pair, precise in zip(pairs, state.wide, strict=True):
            old = pair.old if precise is None else precise
            new = old if pair.is_unchanged else jnp.where(is_due, pair.updated(old, tau), old)
            wide.append(None if precise is None else new)
            target.append(new if precise is None else new.astype(pair.old.dtype))
        return TargetState(_like(state.target, jax.tree.unflatten(structure, target)), tuple(wide), count)

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

    @property
    def is_unchanged(self) -> bool:
        """Whether the leaf stays as it is: it is not updated, or it is an equal number in Python (a layer's size)."""
        return self.role == "kept" or (_is_python_number(self.old, self.new) and bool(self.old == self.new))

    def updated(self, old: Any, tau: Any) -> Any:
        """Return the updated value of `old`, which is the target's leaf, possibly in a wider dtype; keep that dtype."""
        if self.is_unchanged:
            return old
        if self.role == "copied":
            return self.new if _is_python_number(old, self.new) else _copied(self.new, old)
        if _is_python_number(old, self.new, tau):
            return blend(old, self.new, tau, where=_where)
        dtype = jnp.result_type(old)
        if _is_numpy(old, self.new, tau) and dtype != getattr(old, "dtype", dtype):
            return np.asarray(blend(old, np.asarray(self.new), np.asarray(tau, old.dtype), where=np.where), old.dtype)
        wide = jnp.promote_types(dtype, jnp.float32)
        tau = jnp.asarray(tau, jnp.finfo(wide).dtype)
        return blend(jnp.asarray(old, wide), jnp.asarray(self.new, wide), tau, where=jnp.where).astype(dtype)


def _check_tau(tau: Any) -> None:
    if not isinstance(tau, (jax.Array, np.ndarray)):
        TargetUpdate(tau.item() if isinstance(tau, np.generic) else tau)  # raises ValueError


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
    for (path, leaf), (_, other), is_copied in zip(old, new, _statistics(target), strict=True):
        role = _role(leaf, is_copied or copied(_name(path)))
        if role != "kept":
            _check_leaves(_name(path), leaf, other)
        pairs.append(_Pair(role, leaf, other))
    return pairs, structure


def _check_leaves(name: str, old: Any, new: Any) -> None:
    if not _is_number(new):
        raise ValueError(f"target and online network differ at {name}: {type(old).__name__} against {new!r}")
    if np.shape(old) != np.shape(new):
        raise ValueError(f"target and online network differ at {name}: shape {np.shape(old)} against {np.shape(new)}")
    old_dtype, new_dtype = (getattr(leaf, "dtype", type(leaf)) for leaf in (old, new))
    if _kind(old_dtype) < _kind(new_dtype):
        raise ValueError(f"target and online network differ at {name}: dtype {old_dtype} against {new_dtype}")


def _kind(dtype: Any) -> int:
    """Return the place of a dtype among those that cannot hold the next without loss."""
    kinds = (jnp.bool_, jnp.integer, jnp.floating, jnp.complexfloating, jax.dtypes.extended)
    return next(i for i, kind in enumerate(kinds) if jnp.issubdtype(dtype, kind))


def _role(leaf: Any, is_copied: bool) -> Role:
    if not _is_number(leaf) or isinstance(leaf, bool):
        return "kept"
    return "blended" if _is_learnable(leaf) and not is_copied and _is_inexact(leaf) else "copied"


def _is_state(node: Any) -> bool:
    """Return whether everything below a node of a pytree is state that a library marks as such."""
    nnx, eqx = sys.modules.get("flax.nnx"), sys.modules.get("equinox")
    if nnx is not None and isinstance(node, nnx.Variable):
        return not isinstance(node, nnx.Param)
    if eqx is not None and isinstance(node, (eqx.nn.State, eqx.nn.StateIndex)):
        return True
    return isinstance(node, Mapping) and set(node) == {"average", "counter", "hidden"}


def _statistics(tree: Pytree) -> Iterator[bool]:
    """Yield, for every leaf, whether it is a statistic.

    See the module's docstring for the statistics that are recognised.
    """
    nodes = jax.tree_util.tree_flatten_with_path(tree, is_leaf=_is_state)[0]
    siblings: dict[Any, set[Any]] = {}
    for path, _ in nodes:
        siblings.setdefault(path[:-1], set()).update(getattr(step, "key", None) for step in path[-1:])
    for path, node in nodes:
        names = [getattr(step, "key", getattr(step, "name", None)) for step in path]
        beside = siblings[path[:-1]]
        is_batch_norm = {"mean", "var"} <= beside and not beside.isdisjoint({"scale", "bias"})
        is_statistic = _is_state(node) or "batch_stats" in names or (is_batch_norm and names[-1] in ("mean", "var"))
        for _ in jax.tree.leaves(node):
            yield is_statistic


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, (jax.Array, np.ndarray, np.generic, bool, int, float, complex))


def _is_learnable(leaf: Any) -> bool:
    """Return whether a leaf is an array or a number that an optimizer would make one: Python's integers are sizes."""
    return _is_number(leaf) and not isinstance(leaf, int)


def _is_inexact(leaf: Any) -> bool:
    return jnp.issubdtype(getattr(leaf, "dtype", type(leaf)), jnp.inexact)


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.extended)


def _is_python_number(*leaves: Any) -> bool:
    return all(isinstance(leaf, (int, float, complex)) and not isinstance(leaf, np.generic) for leaf in leaves)


def _is_numpy(*leaves: Any) -> bool:
    return not any(isinstance(leaf, jax.Array) for leaf in leaves)


def _copied(new: Any, like: Any) -> Any:
    """Return `new` in the dtype of `like`, in a buffer of its own: a training step may donate the online network's."""
    if _is_numpy(new, like) and jnp.result_type(like) != getattr(like, "dtype", None):
        return np.array(new, getattr(like, "dtype", None))
    return jnp.array(new) if _is_key(new) else jnp.array(new, jnp.result_type(like))


def _where(condition: bool, yes: Any, no: Any) -> Any:
    return yes if condition else no


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path)


def _like(original: Pytree, tree: Pytree) -> Pytree:
    """Return `tree` with the shared layers of `original`, if that is a flax.nnx module that uses a layer twice.

    As a pytree such a module has the layer's leaves twice.
    """
    nnx = sys.modules.get("flax.nnx")
    if nnx is None or not isinstance(original, nnx.Module):
        return tree
    graph, state = nnx.split(original)
    if len(jax.tree.leaves(state)) == len(jax.tree.leaves(tree)):
        return tree
    values = dict(nnx.to_flat_state(nnx.state(tree)))
    paths = [path for path, _ in nnx.to_flat_state(state)]
    return nnx.merge(graph, nnx.from_flat_state([(path, values[path]) for path in paths]))
