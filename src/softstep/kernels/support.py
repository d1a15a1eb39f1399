"""What the kernels can compute, and where."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array

from softstep.kernels import native, switch, xla_call

Params = tuple[Array, ...]
"""A network's floating-point arrays, in the order of its pytree's leaves."""


def supported() -> bool:
    """Return whether kernels may be used: not switched off, on a CPU they can be made for, by an XLA that is known."""
    return switch.switched_on() and native.target() is not None and xla_call.layout_is_known()


def fit(arrays: Params) -> bool:
    """Whether arrays are for kernels: float32, none of them empty, on a CPU that kernels can be made for."""
    sound = all(array.dtype == jnp.float32 and array.size for array in arrays)
    return sound and jax.default_backend() == "cpu" and supported()
