"""Corresponding tensors of a PyTorch target and its online network, paired once and watched for replacements.

The online network decides what is blended: its parameters are, whatever the target holds them as. Its buffers and all
integers are copied.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._C._functorch import is_batchedtensor
from torch.compiler import is_compiling

from softstep.adapters.torch_copies import check_answers_are_own
from softstep.adapters.torch_tensors import (
    Tensors,
    check_initialized,
    check_separate_memory,
    describe,
    is_narrow,
    local_part,
    memory_range,
    named_tensors,
    parameter_names,
    plain_name,
    unwrapped,
)

COMPARED = ("shape", "dtype", "device", "layout", "placements")
"""Properties that two corresponding tensors share; `placements` is how a DTensor is sharded."""

data_ptr = Tensor.data_ptr


class Pairs(NamedTuple):
    """Corresponding tensors of a target and its online network."""

    names: list[str]
    """Names of the tensors in `target` and `online`."""
    target: list[Tensor]
    online: list[Tensor]
    copied_to: list[Tensor]
    copied_from: list[Tensor]
    narrow_dtype: torch.dtype | None
    """A dtype below float32 among the blended tensors, if there is one."""
    is_batched: bool
    """Whether they are inside `torch.vmap`, which has no rules for functions over lists of tensors."""


class WatchedPairs:
    """The pairs of two modules, valid until a tensor, its memory or a submodule of either is replaced or added.

    Of a sharded tensor, this process's part is paired. The tensors themselves are kept, not their memory, so that
    moving a network to another device frees the old memory at once.

    Args:
        target: the target network; unsaved buffers whose shape follows the input are adapted to the online network's.
        online: the online network.
        own_buffers: names of the buffers that the target keeps for itself.

    Raises:
        ValueError: the structures differ, memory is shared, or the target answers with the online network's weights.
    """

    def __init__(self, target: nn.Module, online: nn.Module, own_buffers: Collection[str] = ()) -> None:
        _adopt_buffers(target, online, own_buffers)
        paired = pair(target, online, own_buffers)
        check_separate_memory(named_tensors(target), named_tensors(online))
        check_answers_are_own(target, online)
        self.pairs = paired._replace(
            target=[*map(local_part, paired.target)],
            online=[*map(local_part, paired.online)],
            copied_to=[*map(local_part, paired.copied_to)],
            copied_from=[*map(local_part, paired.copied_from)],
        )
        self._target, self._online = weakref.ref(target), weakref.ref(online)
        modules = [*target.modules(), *online.modules()]
        self._registries: list[dict[str, Any]] = [d for m in modules for d in (m._parameters, m._buffers, m._modules)]
        self._paired_members = [*map(dict, self._registries)]
        self._members_with_values = [
            (registry, name, member)
            for registry in self._registries
            for name, member in registry.items()
            if _may_equal_another(member)
        ]
        tensors = [*paired.target, *paired.online, *paired.copied_to, *paired.copied_from]
        self._sharded = [(tensor, local_part(tensor)) for tensor in tensors if local_part(tensor) is not tensor]
        self._placed = [local_part(tensor) for tensor in tensors if memory_range(tensor) is not None]
        self._addresses = [*map(data_ptr, self._placed)]

    def are_valid_for(self, target: nn.Module, online: nn.Module) -> bool:
        """Return whether these modules were paired, and still have the same tensors and submodules."""
        return (
            self._target() is target
            and self._online() is online
            and self._members_are_the_same()
            and [*map(data_ptr, self._placed)] == self._addresses
            and (not self._sharded or all(local_part(tensor) is part for tensor, part in self._sharded))
        )

    def _members_are_the_same(self) -> bool:
        """Return whether the modules hold the very objects that were paired.

        Comparing the registries takes a third of the time of asking `is` for each member. It does ask `is` first, and
        `==` only of members that were replaced.
        """
        try:
            are_equal = self._registries == self._paired_members
        except (RuntimeError, TypeError):  # the truth of a comparison of several elements: that tensor was replaced
            return False
        values = self._members_with_values
        return are_equal and (not values or all(registry[name] is member for registry, name, member in values))


_watched: dict[int, WatchedPairs] = {}
"""The latest pairs by the `id` of the target, which removes its entry when it is freed."""


def watched_pairs(target: nn.Module, online: nn.Module) -> Pairs:
    """Return the pairs of two modules, cached while they are valid."""
    watched = _watched.get(id(target))
    if watched is None or not watched.are_valid_for(target, online):
        if watched is None:
            weakref.finalize(target, _watched.pop, id(target), None).atexit = False
        watched = _watched[id(target)] = WatchedPairs(target, online)
    return watched.pairs


def pair(target: Tensors, online: Tensors, own_buffers: Collection[str] = ()) -> Pairs:
    """Pair tensors by name; a tensor that several modules of the target share is paired once.

    Raises ValueError if the structures differ, naming the first tensor that differs.
    """
    old, new = (
        {name: tensor for name, tensor in named_tensors(tensors).items() if name not in own_buffers}
        for tensors in (target, online)
    )
    _check_names(old, new)
    learned = parameter_names(online) if isinstance(online, nn.Module) else new
    pairs = Pairs([], [], [], [], [], None, False)
    seen: dict[int, Tensor] = {}
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
        if name in learned and (source.is_floating_point() or source.is_complex()):
            pairs.names.append(name)
            pairs.target.append(tensor)
            pairs.online.append(source)
        else:
            pairs.copied_to.append(tensor)
            pairs.copied_from.append(source)
    if not seen:
        raise ValueError("the networks have no parameters or buffers: there is nothing to follow")
    return pairs._replace(
        narrow_dtype=next((tensor.dtype for tensor in pairs.target if is_narrow(tensor)), None),
        is_batched=not is_compiling() and any(map(is_batchedtensor, seen.values())),
    )


def _may_equal_another(member: Any) -> bool:
    """Return whether `member == other` can be true of another object.

    It can for a tensor of one element and for a module with an `__eq__` of its own. The comparison of a larger tensor
    has no truth value.
    """
    if isinstance(member, Tensor):
        return member.numel() <= 1
    comparison: Any = type(member).__eq__
    return member is not None and comparison is not object.__eq__


def _adopt_buffers(target: nn.Module, online: nn.Module, own_buffers: Collection[str]) -> None:
    """Give the target new buffers where the online network has filled, emptied or resized its own.

    Saved buffers keep their shape, because another shape there means another structure. Unsaved buffers are caches
    that may grow with the batch.
    """
    copies = {plain_name(path): module for path, module in unwrapped(target).named_modules(remove_duplicate=False)}
    for path, source in unwrapped(online).named_modules(remove_duplicate=False):
        module = copies.get(plain_name(path))
        for name, new in source._buffers.items():
            if module is None or name not in module._buffers or f"{plain_name(path)}.{name}".strip(".") in own_buffers:
                continue
            old = module._buffers[name]
            if old is None or new is None:
                is_replaced = old is not new
            else:
                is_cache = name in source._non_persistent_buffers_set
                is_replaced = (is_cache and old.shape != new.shape) or _has_other_indices(old, new)
            if is_replaced:
                module._buffers[name] = None if new is None else new.detach().clone()


def _has_other_indices(old: Tensor, new: Tensor) -> bool:
    """Return whether two sparse tensors in compressed rows or columns cannot be copied in place."""
    compressed = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)
    return old.layout == new.layout and new.layout in compressed and old._nnz() != new._nnz()


def _check_names(old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> None:
    for name in old:
        if name not in new:
            raise ValueError(f"the target has {name!r}, the online network does not: use one structure")
    for name in new:
        if name not in old:
            raise ValueError(f"the online network has {name!r}, the target does not: use one structure")


def _check_pair(name: str, old: Tensor, new: Tensor) -> None:
    check_initialized(name, new)
    check_initialized(name, old)
    if old is new or _begin_at_one_address(old, new):
        raise ValueError(f"target and online network share {name!r}: start from copy.deepcopy(online)")
    for attribute in COMPARED:
        old_value, new_value = getattr(old, attribute, None), getattr(new, attribute, None)
        if old_value != new_value:
            difference = f"{attribute} {describe(old_value)} against {describe(new_value)}"
            raise ValueError(f"target and online network differ at {name!r}: {difference}")


def _begin_at_one_address(old: Tensor, new: Tensor) -> bool:
    old_memory, new_memory = memory_range(old), memory_range(new)
    return old_memory is not None and new_memory is not None and old_memory.begin == new_memory.begin
