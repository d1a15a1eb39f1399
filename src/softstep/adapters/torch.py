"""Target updates of PyTorch modules, in place, on the clock of gradient steps.

    soft_update(target, online, tau=0.005)           T ← c·T + (1 − c)·Q,  c = 1 − τ

    target = Target(online, TargetUpdate(tau=0.005))
    ...
    optimizer.step()
    target.step()                                    after every gradient step; fires at every period-th
    y = reward + gamma * target(next_observation).max(-1).values

Floating-point parameters are blended. Buffers (BatchNorm's statistics, counters) are copied: statistics of an average
are not the average of statistics.
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

from softstep.adapters.target_network import Following, check_parts
from softstep.target import TargetUpdate

WORST_STALL = 0.01
"""Relative gap between T and Q from which on a target that no longer moves is worth a warning."""

Tensors = nn.Module | Iterable[Tensor]
"""A module, or tensors in order, such as `module.parameters()`."""


def soft_update(target: Tensors, online: Tensors, tau: float) -> None:
    """Move every parameter of `target` a share τ of the way to that of `online`, in place: T ← c·T + τ·Q, c = 1 − τ.

    target, online: modules of one structure, or tensors in one order. tau: weight of the *new* parameters, in (0, 1];
    1 copies bit for bit. Buffers are copied. Below float32 a small τ stalls, which a warning says: `Target` does not.
    Errors: ValueError for τ outside (0, 1], and for structures that differ, with the first parameter that does.
    Source: Lillicrap et al. 2015, algorithm 1.
    """
    if not 0 < tau <= 1:
        TargetUpdate(tau)  # complains
    if torch.compiler.is_compiling():
        pairs = _pairs(target, online)
    else:
        pairs = _known_pairs(target, online)
        if pairs.narrow is not None and tau < 1:
            _warn_of_stalling(pairs.narrow, tau)
    with torch.no_grad():
        _move(pairs.target, pairs.online, tau)
        _copy_buffers(pairs)


def hard_update(target: Tensors, online: Tensors) -> None:
    """Make `target` a copy of `online`, bit for bit. Source: Mnih et al. 2015."""
    soft_update(target, online, 1.0)


class Target(Following):
    """A target network: a copy of `online` that follows it as `update` says, counted in gradient steps.

    module: the copy, without gradients; called like the network itself. Parameters narrower than float32 are followed
    in float32 and rounded into the copy, so that the target does not stall.
    Errors: those of `soft_update`.
    """

    def __init__(self, online: nn.Module, update: TargetUpdate) -> None:
        super().__init__(_copied(online), update)
        self._online = online
        self._wide = {id(p): p.detach().float() for p in self.module.parameters() if _is_narrow(p)}

    def _move(self) -> None:
        if not self._wide:
            soft_update(self.module, self._online, self.update.tau)
            return
        pairs = _known_pairs(self.module, self._online)
        wide = [self._wide.get(id(p), p) for p in pairs.target]
        with torch.no_grad():
            _move(wide, [q.to(w.dtype) for q, w in zip(pairs.online, wide, strict=True)], self.update.tau)
            torch._foreach_copy_(pairs.target, wide)
            _copy_buffers(pairs)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` goes on from: the copy, its wide parameters, and the count of gradient steps."""
        wide = {name: self._wide[id(p)] for name, p in self.module.named_parameters() if id(p) in self._wide}
        return {"gradient_steps": self.gradient_steps, "module": self.module.state_dict(), "wide": wide}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`. ValueError where it is none, or that of another network."""
        check_parts(state, "gradient_steps", "module", "wide")
        named = {name: p for name, p in self.module.named_parameters() if id(p) in self._wide}
        if named.keys() != state["wide"].keys():
            raise ValueError("the state is that of a network with other dtypes: make the Target as it was made then")
        _check_state(self.module.state_dict(), state["module"])  # before anything is written
        self.module.load_state_dict(state["module"])
        for name, p in named.items():
            self._wide[id(p)].copy_(state["wide"][name])
        self.gradient_steps = state["gradient_steps"]


class _Pairs(NamedTuple):
    """Tensors of a target and of its online network, side by side."""

    target: list[Tensor]
    online: list[Tensor]
    copied_to: list[Tensor]
    copied_from: list[Tensor]
    narrow: torch.dtype | None
    """A dtype below float32 among the target's, if there is one."""


class _Watched:
    """The pairs of two modules, as long as neither has got another tensor or submodule."""

    def __init__(self, target: nn.Module, online: nn.Module) -> None:
        self.pairs = _pairs(target, online)
        self.online = weakref.ref(online)
        modules = [*target.modules(), *online.modules()]
        self._held: list[dict[str, Any]] = [held for m in modules for held in (m._parameters, m._buffers, m._modules)]
        self._before = self._now()

    def _now(self) -> list[Any]:
        return [*itertools.chain.from_iterable(map(dict.values, self._held))]

    def unchanged(self) -> bool:
        """Whether all tensors are still the ones that were paired."""
        now = self._now()
        return len(now) == len(self._before) and all(map(operator.is_, now, self._before))


_watched: weakref.WeakKeyDictionary[nn.Module, _Watched] = weakref.WeakKeyDictionary()


def _known_pairs(target: Tensors, online: Tensors) -> _Pairs:
    """`_pairs`, remembered for modules."""
    if not (isinstance(target, nn.Module) and isinstance(online, nn.Module)):
        return _pairs(target, online)
    watched = _watched.get(target)
    if watched is None or watched.online() is not online or not watched.unchanged():
        watched = _watched[target] = _Watched(target, online)
    return watched.pairs


def _pairs(target: Tensors, online: Tensors) -> _Pairs:
    """Parameters and buffers by name; each tensor of the target once, though several modules share it."""
    old, new = _named(target), _named(online)
    pairs = _Pairs([], [], [], [], _narrow(old.values()))
    seen: dict[int, Tensor] = {}
    _check_names(old, new)
    for name, tensor in old.items():
        source = new[name]
        if id(tensor) in seen:
            if seen[id(tensor)] is not source:
                raise ValueError(f"the target shares {name!r} with another layer and the online network does not")
            continue
        seen[id(tensor)] = source
        _check_pair(name, tensor, source)
        blended = isinstance(tensor, nn.Parameter) or not isinstance(target, nn.Module)
        blended = blended and (tensor.is_floating_point() or tensor.is_complex())
        (pairs.target if blended else pairs.copied_to).append(tensor)
        (pairs.online if blended else pairs.copied_from).append(source)
    return pairs


def _named(tensors: Tensors) -> dict[str, Tensor]:
    if not isinstance(tensors, nn.Module):
        return {str(i): tensor for i, tensor in enumerate(tensors)}
    plain = _plain(tensors)
    return dict(
        itertools.chain(plain.named_parameters(remove_duplicate=False), plain.named_buffers(remove_duplicate=False))
    )


def _plain(module: nn.Module) -> nn.Module:
    """The module itself, without the wrapping of torch.compile or of data parallelism."""
    inner = getattr(module, "_orig_mod", None)
    if inner is None and isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        inner = module.module
    return module if inner is None else _plain(inner)


def _check_names(old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> None:
    for name in old:
        if name not in new:
            raise ValueError(f"the target has {name!r}, which the online network does not")
    for name in new:
        if name not in old:
            raise ValueError(f"the online network has {name!r}, which the target does not")


def _check_pair(name: str, old: Tensor, new: Tensor) -> None:
    if old is new or _same_memory(old, new):
        raise ValueError(f"target and online network share {name!r}: begin with copy.deepcopy(online)")
    for what in ("shape", "dtype", "device"):
        if getattr(old, what) != getattr(new, what):
            told = f"{what} {_word(getattr(old, what))} against {_word(getattr(new, what))}"
            raise ValueError(f"target and online network differ at {name!r}: {told}")


def _check_state(own: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    for name in [*own, *given]:
        if name not in own or name not in given:
            raise ValueError(f"the state is that of another network: only one of them has {name!r}")
        if own[name].shape != given[name].shape:
            told = f"shape {_word(given[name].shape)} against {_word(own[name].shape)}"
            raise ValueError(f"the state is that of another network: {name!r} has {told}")


def _same_memory(old: Tensor, new: Tensor) -> bool:
    if torch.compiler.is_compiling() or old.device.type == "meta":
        return False  # there is no address yet
    return old.numel() > 0 and old.data_ptr() == new.data_ptr()


def _word(value: Any) -> str:
    return str(tuple(value)) if isinstance(value, torch.Size) else str(value)


def _move(target: list[Tensor], online: list[Tensor], tau: float) -> None:
    """The blend: all tensors in one call; at τ = 1 a copy, which is exact."""
    if not target:
        return
    if tau == 1:
        torch._foreach_copy_(target, online)
    else:
        torch._foreach_lerp_(target, online, tau)


def _copy_buffers(pairs: _Pairs) -> None:
    if pairs.copied_to:
        torch._foreach_copy_(pairs.copied_to, pairs.copied_from)


def _copied(online: nn.Module) -> nn.Module:
    module = copy.deepcopy(_plain(online)).requires_grad_(False)
    for parameter in module.parameters():
        parameter.grad = None
    return module


def _is_narrow(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and torch.finfo(tensor.dtype).bits < 32


def _narrow(tensors: Iterable[Tensor]) -> torch.dtype | None:
    found: Iterator[torch.dtype] = (tensor.dtype for tensor in tensors if _is_narrow(tensor))
    return next(found, None)


def _warn_of_stalling(dtype: torch.dtype, tau: float) -> None:
    """A step of τ·gap below half a unit in the last place rounds to nothing."""
    gap = torch.finfo(dtype).eps / 2 / tau
    if gap > WORST_STALL:
        warnings.warn(
            f"in {dtype} with tau = {tau:g} the target stops following within {gap:.2g} of its size:"
            " softstep.adapters.torch.Target follows in float32",
            RuntimeWarning,
            stacklevel=3,
        )
