"""Target updates of PyTorch modules, in place, counted in gradient steps.

    soft_update(target, online, tau=0.005)           T ← c·T + (1 − c)·Q,  c = 1 − τ

    target = Target(online, TargetUpdate(tau=0.005))
    ...
    optimizer.step()
    target.step()                                    after every gradient step; updates at every period-th
    y = reward + gamma * target(next_observation).max(-1).values

Floating-point parameters are blended. Buffers (BatchNorm's statistics, counters) are copied, because the statistics of
an average are not the average of the statistics.
"""

from __future__ import annotations

import copy
import itertools
import operator
import warnings
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from softstep.adapters.target_network import TargetNetwork, check_state_keys
from softstep.target import TargetUpdate

WORST_STALL = 0.01
"""Relative gap between T and Q above which a target that no longer moves causes a warning."""

Tensors = nn.Module | Iterable[Tensor]
"""A module, or tensors in order, for example `module.parameters()`."""


def soft_update(target: Tensors, online: Tensors, tau: float) -> None:
    """Move every parameter of `target` a fraction τ of the way to that of `online`, in place: T ← c·T + τ·Q, c = 1 − τ.

    `target` and `online` are modules of the same structure, or tensors in the same order. `tau` is the weight of the
    *new* parameters, in (0, 1]; 1 copies bit for bit. Buffers are copied. Below float32 a small τ stalls, which causes
    a warning; a `Target` does not stall. Source: Lillicrap et al. 2015, algorithm 1.
    Raises ValueError if τ is outside (0, 1] or the structures differ, naming the first parameter that differs.
    """
    if not 0 < tau <= 1:
        TargetUpdate(tau)  # raises ValueError
    if torch.compiler.is_compiling():
        pairs = _pairs(target, online)
    else:
        pairs = _cached_pairs(target, online)
        if pairs.narrow_dtype is not None and tau < 1:
            _warn_if_stalling(pairs.narrow_dtype, tau)
    with torch.no_grad():
        _blend(pairs.target, pairs.online, tau)
        _copy_buffers(pairs)


def hard_update(target: Tensors, online: Tensors) -> None:
    """Make `target` a copy of `online`, bit for bit. Source: Mnih et al. 2015."""
    soft_update(target, online, 1.0)


class Target(TargetNetwork):
    """A target network: a copy of `online` that follows it by the rule `update`, counted in gradient steps.

    `module` is the copy, without gradients; the target is called like the network itself. Parameters narrower than
    float32 are kept in float32 as well and rounded into the copy, so that the target does not stall.
    `step` raises the errors of `soft_update`.
    """

    def __init__(self, online: nn.Module, update: TargetUpdate) -> None:
        super().__init__(_frozen_copy(online), update)
        self._online = online
        self._wide = {id(p): p.detach().float() for p in self.module.parameters() if _is_narrow(p)}

    def _update_module(self) -> None:
        if not self._wide:
            soft_update(self.module, self._online, self.update.tau)
            return
        pairs = _cached_pairs(self.module, self._online)
        wide = [self._wide.get(id(p), p) for p in pairs.target]
        with torch.no_grad():
            _blend(wide, [q.to(w.dtype) for q, w in zip(pairs.online, wide, strict=True)], self.update.tau)
            torch._foreach_copy_(pairs.target, wide)
            _copy_buffers(pairs)

    def state_dict(self) -> dict[str, Any]:
        """Return the copy's state, its float32 parameters and the count of gradient steps."""
        wide = {name: self._wide[id(p)] for name, p in self.module.named_parameters() if id(p) in self._wide}
        return {"gradient_steps": self.gradient_steps, "module": self.module.state_dict(), "wide": wide}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a `state_dict`. Raises ValueError if it is not one, or belongs to another network."""
        check_state_keys(state, "gradient_steps", "module", "wide")
        narrow_parameters = {name: p for name, p in self.module.named_parameters() if id(p) in self._wide}
        if narrow_parameters.keys() != state["wide"].keys():
            raise ValueError("the state belongs to a network with other dtypes: create the Target with the same dtypes")
        _check_module_state(self.module.state_dict(), state["module"])  # before anything is written
        self.module.load_state_dict(state["module"])
        for name, p in narrow_parameters.items():
            self._wide[id(p)].copy_(state["wide"][name])
        self.gradient_steps = state["gradient_steps"]


class _Pairs(NamedTuple):
    """Corresponding tensors of a target and its online network."""

    target: list[Tensor]
    online: list[Tensor]
    copied_to: list[Tensor]
    copied_from: list[Tensor]
    narrow_dtype: torch.dtype | None
    """A dtype below float32 among the target's, if there is one."""


class _CacheEntry:
    """The pairs of two modules, valid until a tensor or submodule of either is replaced or added."""

    def __init__(self, target: nn.Module, online: nn.Module) -> None:
        self.pairs = _pairs(target, online)
        self.online = weakref.ref(online)
        modules = [*target.modules(), *online.modules()]
        self._registries: list[dict[str, Any]] = [d for m in modules for d in (m._parameters, m._buffers, m._modules)]
        self._paired_members = self._members()

    def _members(self) -> list[Any]:
        return [*itertools.chain.from_iterable(map(dict.values, self._registries))]

    def is_valid(self) -> bool:
        """Return whether all tensors and submodules are still the ones that were paired."""
        members = self._members()
        return len(members) == len(self._paired_members) and all(map(operator.is_, members, self._paired_members))


_cache: weakref.WeakKeyDictionary[nn.Module, _CacheEntry] = weakref.WeakKeyDictionary()


def _cached_pairs(target: Tensors, online: Tensors) -> _Pairs:
    """Return `_pairs(target, online)`, cached for modules."""
    if not (isinstance(target, nn.Module) and isinstance(online, nn.Module)):
        return _pairs(target, online)
    entry = _cache.get(target)
    if entry is None or entry.online() is not online or not entry.is_valid():
        entry = _cache[target] = _CacheEntry(target, online)
    return entry.pairs


def _pairs(target: Tensors, online: Tensors) -> _Pairs:
    """Pair parameters and buffers by name; a tensor that several modules of the target share is paired once."""
    old, new = _named(target), _named(online)
    pairs = _Pairs([], [], [], [], _first_narrow_dtype(old.values()))
    seen: dict[int, Tensor] = {}
    _check_names(old, new)
    for name, tensor in old.items():
        source = new[name]
        if id(tensor) in seen:
            if seen[id(tensor)] is not source:
                raise ValueError(
                    f"the target shares {name!r} with another layer, the online network does not: use one structure"
                )
            continue
        seen[id(tensor)] = source
        _check_pair(name, tensor, source)
        is_parameter = isinstance(tensor, nn.Parameter) or not isinstance(target, nn.Module)
        is_blended = is_parameter and (tensor.is_floating_point() or tensor.is_complex())
        (pairs.target if is_blended else pairs.copied_to).append(tensor)
        (pairs.online if is_blended else pairs.copied_from).append(source)
    return pairs


def _named(tensors: Tensors) -> dict[str, Tensor]:
    if not isinstance(tensors, nn.Module):
        return {str(i): tensor for i, tensor in enumerate(tensors)}
    module = _unwrapped(tensors)
    return dict(
        itertools.chain(module.named_parameters(remove_duplicate=False), module.named_buffers(remove_duplicate=False))
    )


def _unwrapped(module: nn.Module) -> nn.Module:
    """Return the module itself, without the wrappers of torch.compile or data parallelism."""
    inner = getattr(module, "_orig_mod", None)
    if inner is None and isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        inner = module.module
    return module if inner is None else _unwrapped(inner)


def _check_names(old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> None:
    for name in old:
        if name not in new:
            raise ValueError(f"the target has {name!r}, the online network does not: use one structure")
    for name in new:
        if name not in old:
            raise ValueError(f"the online network has {name!r}, the target does not: use one structure")


def _check_pair(name: str, old: Tensor, new: Tensor) -> None:
    if old is new or _same_memory(old, new):
        raise ValueError(f"target and online network share {name!r}: start from copy.deepcopy(online)")
    for attribute in ("shape", "dtype", "device"):
        old_value, new_value = getattr(old, attribute), getattr(new, attribute)
        if old_value != new_value:
            difference = f"{attribute} {_format(old_value)} against {_format(new_value)}"
            raise ValueError(f"target and online network differ at {name!r}: {difference}")


def _check_module_state(own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    for name in [*own, *state]:
        if name not in own or name not in state:
            raise ValueError(f"the state belongs to another network: only one of them has {name!r}")
        if own[name].shape != state[name].shape:
            difference = f"shape {_format(state[name].shape)}, not {_format(own[name].shape)}"
            raise ValueError(f"the state belongs to another network: {name!r} has {difference}")


def _same_memory(old: Tensor, new: Tensor) -> bool:
    if torch.compiler.is_compiling() or old.device.type == "meta":
        return False  # the tensors have no address yet
    return old.numel() > 0 and old.data_ptr() == new.data_ptr()


def _format(value: Any) -> str:
    return str(tuple(value)) if isinstance(value, torch.Size) else str(value)


def _blend(target: list[Tensor], online: list[Tensor], tau: float) -> None:
    """Blend all tensors in one call; at τ = 1 copy them, which is exact."""
    if not target:
        return
    if tau == 1:
        torch._foreach_copy_(target, online)
    else:
        torch._foreach_lerp_(target, online, tau)


def _copy_buffers(pairs: _Pairs) -> None:
    if pairs.copied_to:
        torch._foreach_copy_(pairs.copied_to, pairs.copied_from)


def _frozen_copy(online: nn.Module) -> nn.Module:
    module = copy.deepcopy(_unwrapped(online)).requires_grad_(False)
    for parameter in module.parameters():
        parameter.grad = None
    return module


def _is_narrow(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and torch.finfo(tensor.dtype).bits < 32


def _first_narrow_dtype(tensors: Iterable[Tensor]) -> torch.dtype | None:
    narrow_dtypes: Iterator[torch.dtype] = (tensor.dtype for tensor in tensors if _is_narrow(tensor))
    return next(narrow_dtypes, None)


def _warn_if_stalling(dtype: torch.dtype, tau: float) -> None:
    """Warn if the target stalls noticeably: a step of τ·gap below half a unit in the last place rounds to nothing."""
    gap = torch.finfo(dtype).eps / 2 / tau
    if gap > WORST_STALL:
        warnings.warn(
            f"in {dtype} with tau = {tau:g} the target stops following within {gap:.2g} of its size:"
            " use softstep.adapters.torch.Target, which follows in float32",
            RuntimeWarning,
            stacklevel=3,
        )
