"""Copies of PyTorch networks, and the proof that a copy answers with weights of its own."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from softstep.adapters.functions import may_hold_functions, reaches
from softstep.adapters.torch_tensors import check_initialized, named_tensors, unwrapped

OWN_ATTRIBUTES = frozenset(vars(nn.Module()))
"""Attributes that every module has; most are hooks that have no effect on answers."""


def frozen_copy(online: nn.Module) -> nn.Module:
    """Return a copy of a network without gradients.

    Raises ValueError, naming the layer and a way out, if the network cannot be copied.
    """
    online = unwrapped(online)
    for name, tensor in named_tensors(online).items():
        check_initialized(name, tensor)
    try:
        with torch.no_grad():  # otherwise the parameters of a scripted network are computed from the originals
            module: nn.Module = copy.deepcopy(online, _copied_tensors(online))
    except Exception as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(
            f"copy.deepcopy cannot copy {_first_layer_without_a_copy(online)}: {reason}."
            " Pass a network of your own as Target(online, update, module=network), or update it with soft_update"
        ) from error
    for parameter in module.parameters():
        parameter.requires_grad = False
        parameter.grad = None
    return module


def _copied_tensors(online: nn.Module) -> dict[int, Any]:
    """Return copies of the tensors that `copy.deepcopy` refuses, by the `id` of the original.

    They are compressed sparse buffers, and the results that layers keep as attributes: activations, or weights that
    old-style weight_norm, spectral_norm and pruning compute before every pass.
    """
    attributes = (value for module in online.modules() for value in vars(module).values())
    results = (value for value in attributes if isinstance(value, Tensor) and not value.is_leaf)
    sparse = (buffer for buffer in online.buffers() if buffer.layout != torch.strided)
    return {id(tensor): tensor.detach().clone() for tensor in itertools.chain(results, sparse)}


def _first_layer_without_a_copy(online: nn.Module) -> str:
    """Return the name of the innermost layer that cannot be copied."""
    for name, module in reversed(list(online.named_modules())):
        try:
            copy.deepcopy(module, _copied_tensors(module))
        except Exception:
            return f"{name!r} ({type(module).__name__})" if name else type(module).__name__
    return type(online).__name__


def check_answers_are_own(target: nn.Module, online: nn.Module) -> None:
    """Raise ValueError if a function that the target calls refers to the online network or a part of it.

    `copy.deepcopy` does not copy functions. A `forward` that was compiled or wrapped in place, or a hook that closes
    over a layer, therefore still answers with the online network's weights in the copy.
    """
    online = unwrapped(online)
    foreign = {id(tensor) for tensor in named_tensors(online).values()}
    foreign |= {id(m) for m in online.modules() if any(True for _ in itertools.chain(m.parameters(), m.buffers()))}

    def is_foreign(value: nn.Module | Tensor) -> bool:
        parts = value.modules() if isinstance(value, nn.Module) else [value]
        return any(id(part) in foreign for part in parts)

    visited: set[int] = set()
    for name, module in target.named_modules():
        for attribute, function in _functions(module):
            if reaches(function, (nn.Module, Tensor), is_foreign, visited):
                raise ValueError(
                    f"{'.'.join(filter(None, (name, attribute)))!r} of the target refers to the online network and"
                    " answers with its weights: make the Target before you wrap, compile or hook it, or use"
                    " torch.compile(online)"
                )


def _functions(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield the functions that a call of the module may run, by attribute."""
    yield "forward", getattr(type(module), "forward", None)
    for attribute, value in list(vars(module).items()):
        if attribute in ("_forward_hooks", "_forward_pre_hooks"):
            yield from ((attribute, hook) for hook in value.values())
        elif attribute not in OWN_ATTRIBUTES and may_hold_functions(value):
            yield attribute, value
