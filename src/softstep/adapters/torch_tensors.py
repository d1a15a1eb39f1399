"""What the PyTorch adapter needs to know about tensors: their names, their memory and their precision."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

Tensors = nn.Module | Mapping[str, Tensor] | Iterable[Tensor]
"""A module, tensors by name, or tensors in order, for example `module.parameters()`."""

BLOCK_WRAPPERS = ("_orig_mod.", "_checkpoint_wrapped_module.")
"""Parts of a parameter's name that only say that its block is compiled or checkpointed."""


def named_tensors(tensors: Tensors) -> dict[str, Tensor]:
    """Return all tensors by name. The names do not depend on whether a network or one of its blocks is wrapped."""
    if isinstance(tensors, nn.Module):
        module = unwrapped(tensors)
        return {
            plain_name(name): tensor
            for name, tensor in itertools.chain(
                module.named_parameters(remove_duplicate=False), module.named_buffers(remove_duplicate=False)
            )
        }
    if hasattr(tensors, "_metadata"):
        raise ValueError(
            "a state dict does not tell parameters from buffers: pass the modules, or dict(module.named_parameters())"
        )
    if isinstance(tensors, Mapping):
        return dict(tensors)
    return {str(i): tensor for i, tensor in enumerate(tensors)}


def parameter_names(module: nn.Module) -> set[str]:
    """Return the names of what a module registers as parameters, which `functional_call` replaces by plain tensors."""
    return {plain_name(name) for name, _ in unwrapped(module).named_parameters(remove_duplicate=False)}


def plain_name(name: str) -> str:
    """Return the name of a tensor or submodule without the wrappers of its blocks."""
    for wrapper in BLOCK_WRAPPERS:
        name = name.replace(wrapper, "").removesuffix(f".{wrapper[:-1]}")
    return name


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the module itself, without the wrappers of torch.compile or data parallelism."""
    inner = getattr(module, "_orig_mod", None)
    if inner is None and isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        inner = module.module
    return module if inner is None else unwrapped(inner)


def is_narrow(tensor: Tensor) -> bool:
    """Return whether the tensor has fewer digits than float32."""
    return (tensor.is_floating_point() or tensor.is_complex()) and torch.finfo(tensor.dtype).bits < 32


def widened(tensor: Tensor) -> Tensor:
    """Return a copy of a narrow tensor in float32 or complex64."""
    return tensor.detach().to(torch.complex64 if tensor.is_complex() else torch.float32)


def are_equal(old: Tensor, new: Tensor) -> bool:
    """Return whether two tensors of the same dtype and shape are equal, comparing 64 bits at a time where possible.

    torch.equal reads narrow numbers one by one. Bits tell more: 0 and −0 differ, and NaN equals itself.
    """
    per_word = 8 // old.element_size()
    is_aligned = old.is_contiguous() and new.is_contiguous() and not old.is_complex() and old.numel() % per_word == 0
    if is_aligned and per_word > 1 and old.storage_offset() % per_word == new.storage_offset() % per_word == 0:
        return torch.equal(old.view(-1).view(torch.int64), new.view(-1).view(torch.int64))
    return torch.equal(old, new)


def check_initialized(name: str, tensor: Tensor) -> None:
    """Raise ValueError if a tensor of a lazy layer has no shape yet."""
    if isinstance(tensor, (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)):
        raise ValueError(f"{name!r} has no shape yet, because its layer is lazy: run the online network once first")


class MemoryRange(NamedTuple):
    """The bytes that a tensor uses: an address, the address past the end, and whether all bytes between are its own."""

    begin: int
    end: int
    is_dense: bool


def local_part(tensor: Tensor) -> Tensor:
    """Return this process's part of a sharded tensor (a DTensor), or the tensor itself."""
    return getattr(tensor, "_local_tensor", tensor)


def memory_range(tensor: Tensor) -> MemoryRange | None:
    """Return where a tensor lies in memory, or None if it has no address (sparse, empty, traced, on `meta`)."""
    part = local_part(tensor)
    if torch.compiler.is_compiling() or part.layout != torch.strided or part.device.type == "meta":
        return None
    try:
        begin = part.data_ptr()
    except RuntimeError:  # for example inside torch.vmap
        return None
    if begin == 0 or part.numel() == 0:
        return None
    last = sum((size - 1) * stride for size, stride in zip(part.shape, part.stride(), strict=True))
    return MemoryRange(begin, begin + (last + 1) * part.element_size(), last + 1 == part.numel())


def check_separate_memory(target: Mapping[str, Tensor], online: Mapping[str, Tensor]) -> None:
    """Raise ValueError if a tensor of the target overlaps one of the online network, naming both.

    Networks whose parameters are slices of one stacked tensor share a storage without overlapping; they are allowed.
    """
    latest: dict[bool, tuple[str, MemoryRange]] = {}
    for is_target, name, memory in sorted(_ranges(target, online), key=lambda entry: entry[2].begin):
        other = latest.get(not is_target)
        if (
            other is not None
            and memory.begin < other[1].end
            and (memory.begin == other[1].begin or (memory.is_dense and other[1].is_dense))
        ):
            both = f"{name!r}" if name == other[0] else f"{(name if is_target else other[0])!r}"
            raise ValueError(f"target and online network share {both}: start from copy.deepcopy(online)")
        if is_target not in latest or latest[is_target][1].end < memory.end:
            latest[is_target] = (name, memory)


def _ranges(target: Mapping[str, Tensor], online: Mapping[str, Tensor]) -> Iterator[tuple[bool, str, MemoryRange]]:
    for is_target, tensors in ((True, target), (False, online)):
        for name, tensor in tensors.items():
            memory = memory_range(tensor)
            if memory is not None:
                yield is_target, name, memory


def describe(value: Any) -> str:
    """Return a shape as a plain tuple, any other property as it prints."""
    return str(tuple(value)) if isinstance(value, torch.Size) else str(value)
