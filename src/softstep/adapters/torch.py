"""Target updates of PyTorch modules, in place, counted in gradient steps.

    soft_update(target, online, tau=0.005)           T ← c·T + (1 − c)·Q,  c = 1 − τ

    target = Target(online, TargetUpdate(tau=0.005))
    ...
    optimizer.step()
    target.step()                                    after every gradient step; updates at every period-th
    y = reward + gamma * target(next_observation).max(-1).values

What the online network learns (its floating-point parameters) is blended. Buffers (BatchNorm's statistics, counters)
are copied, because the statistics of an average are not the average of the statistics.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from softstep.extras import required_by

with required_by("softstep.adapters.torch"):
    import torch
    from torch import Tensor, nn

from softstep.adapters.target_network import TargetNetwork, check_state_keys
from softstep.adapters.torch_copies import frozen_copy
from softstep.adapters.torch_noise import noise_buffers
from softstep.adapters.torch_pairs import Pairs, WatchedPairs, pair, watched_pairs
from softstep.adapters.torch_tensors import (
    Tensors,
    are_equal,
    describe,
    is_narrow,
    local_part,
    named_tensors,
    parameter_names,
    plain_name,
    unwrapped,
    widened,
)
from softstep.target import TargetUpdate

is_compiling, is_grad_enabled = torch.compiler.is_compiling, torch.is_grad_enabled
set_grad_enabled, lerp_all = torch._C._set_grad_enabled, torch._foreach_lerp_
WORST_STALL = 0.01
"""Relative gap between T and Q above which a target that no longer moves causes a warning."""


def soft_update(target: Tensors, online: Tensors, tau: float) -> None:
    """Move every parameter of `target` a fraction τ of the way to that of `online`, in place: T ← c·T + τ·Q, c = 1 − τ.

    `target` and `online` are modules of the same structure, tensors by name, or tensors in the same order. `tau` is the
    weight of the *new* parameters, in (0, 1]; 1 copies bit for bit. Buffers of modules are copied. Below float32 a
    small τ stalls, which causes a warning; a `Target` does not stall. Source: Lillicrap et al. 2015, algorithm 1.
    Raises ValueError if τ is outside (0, 1], the structures differ or memory is shared, naming the first parameter.
    """
    if type(tau) is not float or not 0 < tau <= 1:
        tau = TargetUpdate(tau).tau  # raises ValueError
    if not is_compiling():
        if isinstance(target, nn.Module) and isinstance(online, nn.Module):
            pairs = watched_pairs(target, online)
        else:
            pairs = pair(target, online)
        if pairs.narrow_dtype is not None and tau < 1:
            _warn_if_stalling(pairs.narrow_dtype, tau)
        _move(pairs, tau)
    else:
        pairs = pair(target, online)
        with torch.no_grad():
            _blend(pairs.target, pairs.online, tau)
            _copy_buffers(pairs)


def hard_update(target: Tensors, online: Tensors) -> None:
    """Make `target` a copy of `online`, bit for bit. Source: Mnih et al. 2015."""
    soft_update(target, online, 1.0)


class Target(TargetNetwork):
    """A target network: a copy of `online` that follows it by the rule `update`, counted in gradient steps.

    `module` is the copy, without gradients; the target is called like the network itself. Parameters narrower than
    float32 are followed in float32 and rounded into the copy, so that the target does not stall. The float32 values
    belong to the parameter's name. They start again from the copy wherever it was changed by other means.
    `step` raises the errors of `soft_update`, and RuntimeError if a harmonic target is stepped inside torch.compile.

    Args:
        online: the network to follow, possibly compiled or data-parallel.
        update: how far and how often the target follows.
        module: a network of your own to use instead of a copy of `online`, which it is set equal to.
        own_buffers: names of the buffers that the target keeps for itself. A name without dots stands for that buffer
            in every layer. By default they are the noise of noisy layers: the buffers that a layer's `reset_noise` or
            `sample_noise` redraws. An empty list copies all buffers.

    Raises:
        ValueError: `online` has no parameters, cannot be copied, or differs from `module`; or the target would answer
            with the online network's weights.
    """

    def __init__(
        self,
        online: nn.Module,
        update: TargetUpdate,
        *,
        module: nn.Module | None = None,
        own_buffers: Iterable[str] | None = None,
    ) -> None:
        super().__init__(frozen_copy(online) if module is None else module, update)
        self._online = online
        self._own_buffers = noise_buffers(online) if own_buffers is None else _full_names(own_buffers, online)
        self._wide: dict[str, Tensor] = {}
        self._watched: WatchedPairs | None = WatchedPairs(self.module, online, self._own_buffers)
        if not self._watched.pairs.target:
            raise ValueError("the online network has no floating-point parameters: there is nothing to follow")
        if module is not None:
            for parameter in module.parameters():
                parameter.requires_grad_(False)
            _move(self._watched.pairs, 1.0)
        self._refresh_wide()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or pickle keeps: everything but the pairs, which refer to the tensors of this one."""
        return self.__dict__ | {"_watched": None}

    def _update_module(self) -> None:
        if is_compiling():
            if self.update.schedule == "harmonic":
                raise RuntimeError(
                    "Target.step of a harmonic target is being compiled, which would fix tau or recompile at every"
                    " step: call it outside of torch.compile, after the compiled training step"
                )
            with torch.no_grad():
                self._follow(pair(self.module, self._online, self._own_buffers))
            return
        watched = self._watched
        if watched is None or not watched.are_valid_for(self.module, self._online):
            watched = self._watched = WatchedPairs(self.module, self._online, self._own_buffers)
        if watched.pairs.narrow_dtype is None:
            _move(watched.pairs, self.update.tau_at(self.gradient_steps))
            return
        with torch.no_grad():
            self._follow(watched.pairs)

    def _follow(self, pairs: Pairs) -> None:
        """Update the target through its float32 values."""
        narrow = {name: t for name, t in zip(pairs.names, pairs.target, strict=True) if is_narrow(t)}
        self._wide = {name: self._wide_value(name, t) for name, t in narrow.items()}
        wide = [self._wide.get(name, t) for name, t in zip(pairs.names, pairs.target, strict=True)]
        _blend_widened(wide, pairs.online, self.update.tau_at(self.gradient_steps))
        torch._foreach_copy_(pairs.target, wide)
        _copy_buffers(pairs)

    def _wide_value(self, name: str, narrow: Tensor) -> Tensor:
        """Return the float32 value behind a narrow parameter.

        An element that the parameter does not round from was changed by other means (a copy by hand, a loaded state,
        another dtype), and starts again from the parameter.
        """
        wide = self._wide.get(name)
        if wide is None or wide.shape != narrow.shape:
            return widened(narrow)
        wide = wide.to(narrow.device)
        rounded = wide.to(narrow.dtype)
        if not is_compiling() and narrow.device.type == "cpu" and are_equal(rounded, narrow):
            return wide  # on other devices the question would wait for the device
        return torch.where(rounded == narrow, wide, widened(narrow))

    def _refresh_wide(self) -> None:
        """Bring the float32 values up to date with the copy as it is now."""
        learned = parameter_names(self._online)
        narrow: dict[int, tuple[str, Tensor]] = {}
        for name, tensor in named_tensors(self.module).items():
            if name in learned and is_narrow(tensor):
                narrow.setdefault(id(tensor), (name, local_part(tensor)))  # shared weights have their first name
        self._wide = {name: self._wide_value(name, tensor) for name, tensor in narrow.values()}

    def state_dict(self) -> dict[str, Any]:
        """Return the copy's state, its float32 parameters and the count of gradient steps."""
        self._refresh_wide()
        return {"gradient_steps": self.gradient_steps, "module": self.module.state_dict(), "wide": dict(self._wide)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a `state_dict`. Raises ValueError if it is not one, or belongs to another network."""
        check_state_keys(state, "gradient_steps", "module", "wide")
        self._refresh_wide()
        if self._wide.keys() != state["wide"].keys():
            raise ValueError("the state belongs to a network with other dtypes: create the Target with the same dtypes")
        _check_module_state(self.module.state_dict(), state["module"])  # before anything is written
        self.module.load_state_dict(state["module"])
        for name, wide in self._wide.items():
            wide.copy_(state["wide"][name])
        self.gradient_steps = state["gradient_steps"]


def _full_names(own_buffers: Iterable[str], online: nn.Module) -> frozenset[str]:
    """Return the full names of the buffers that the target keeps for itself."""
    buffers = {plain_name(name) for name, _ in unwrapped(online).named_buffers(remove_duplicate=False)}
    full_names: set[str] = set()
    for own in own_buffers:
        matches = {name for name in buffers if own in (name, name.rpartition(".")[2])}
        if not matches:
            raise ValueError(f"own_buffers: {own!r} is not a buffer of the online network: {_listed(buffers)}")
        full_names |= matches
    return frozenset(full_names)


def _listed(names: Collection[str]) -> str:
    return f"its buffers are {', '.join(sorted(names))}" if names else "it has no buffers"


def _check_module_state(own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    for name in [*own, *state]:
        if name not in own or name not in state:
            raise ValueError(f"the state belongs to another network: only one of them has {name!r}")
        own_shape, shape = getattr(own[name], "shape", None), getattr(state[name], "shape", None)
        if own_shape != shape:
            difference = f"shape {describe(shape)}, not {describe(own_shape)}"
            raise ValueError(f"the state belongs to another network: {name!r} has {difference}")


def _move(pairs: Pairs, tau: float) -> None:
    """Blend and copy without gradients. `torch.no_grad()` alone takes a tenth of the time of a small update."""
    was_enabled = is_grad_enabled()
    set_grad_enabled(False)
    try:
        if pairs.is_batched:
            _move_one_by_one(pairs, tau)
            return
        _blend(pairs.target, pairs.online, tau)
        if pairs.copied_to:
            _copy_buffers(pairs)
    finally:
        set_grad_enabled(was_enabled)


def _move_one_by_one(pairs: Pairs, tau: float) -> None:
    for old, new in zip(pairs.target, pairs.online, strict=True):
        if tau == 1:
            old.copy_(new)
        else:
            old.lerp_(new, tau)
    for old, new in zip(pairs.copied_to, pairs.copied_from, strict=True):
        old.copy_(new)


def _blend(target: list[Tensor], online: list[Tensor], tau: float) -> None:
    """Blend all tensors in one call; at τ = 1 copy them, which is exact."""
    if not target:
        return
    if tau == 1:
        torch._foreach_copy_(target, online)
    else:
        lerp_all(target, online, tau)


def _blend_widened(wide: list[Tensor], online: list[Tensor], tau: float) -> None:
    """Blend tensors that may be wider than those of the online network."""
    if tau < 1 and not is_compiling() and all(tensor.device.type == "cpu" for tensor in wide):
        for old, new in zip(wide, online, strict=True):  # one at a time, so that the widened copy stays in the cache
            old.lerp_(new.to(old.dtype), tau)
    else:
        _blend(wide, [new.to(old.dtype) for old, new in zip(wide, online, strict=True)], tau)


def _copy_buffers(pairs: Pairs) -> None:
    if pairs.copied_to:
        torch._foreach_copy_(pairs.copied_to, pairs.copied_from)


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
