"""The noise that layers keep in buffers, which a target network has for itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from softstep.adapters.torch_copies import frozen_copy
from softstep.adapters.torch_tensors import plain_name, unwrapped
from softstep.random_streams import random_streams_restored

REDRAWING = ("reset_noise", "sample_noise")
"""Names of methods by which noisy layers draw new noise (Fortunato et al. 2017, in most implementations)."""


def noise_buffers(network: nn.Module) -> frozenset[str]:
    """Return the full names of the buffers whose values a layer's own method redraws.

    The methods are tried on copies of the layers, and the random numbers of the run are restored. A method that needs
    arguments, or a layer that cannot be copied, has no such buffers.
    """
    return frozenset(
        plain_name(f"{path}.{name}".removeprefix("."))
        for path, layer in unwrapped(network).named_modules(remove_duplicate=False)
        for method in REDRAWING
        if hasattr(type(layer), method)
        for name in _redrawn(layer, method)
    )


def _redrawn(layer: nn.Module, method: str) -> list[str]:
    """Return the names of the floating-point buffers of a layer that the method changes."""
    devices = {buffer.device.index for buffer in layer.buffers() if buffer.device.type == "cuda"}
    try:
        with random_streams_restored(), torch.random.fork_rng(devices=sorted(devices)), torch.no_grad():
            probe = frozen_copy(layer)
            before = {name: buffer.clone() for name, buffer in probe.named_buffers(remove_duplicate=False)}
            getattr(type(probe), method)(probe)  # an attribute of the instance could belong to another layer
            after = dict(probe.named_buffers(remove_duplicate=False))
    except Exception:  # whatever the layer's own method raises
        return []
    return [name for name, old in before.items() if name in after and not _are_equal(old, after[name])]


def _are_equal(old: Tensor, new: Tensor) -> bool:
    """Return whether two buffers are equal; buffers of integers are counters, never noise."""
    if not old.is_floating_point() or not new.is_floating_point() or old.layout != torch.strided:
        return True
    return old.shape == new.shape and torch.allclose(old, new, rtol=0, atol=0, equal_nan=True)
