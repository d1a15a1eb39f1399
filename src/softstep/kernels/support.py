"""Whether the kernels can be used here, and for which arrays."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from softstep.kernels import native, switch, xla_call

Params = tuple[Array, ...]
"""A network's floating-point arrays, in the order of its pytree's leaves."""


def kernels_supported() -> bool:
    """Return whether kernels can be used in this process.

    They can unless they are switched off, the CPU has no fused multiply-adds, or XLA's interface is unknown.
    """
    return switch.switched_on() and native.cpu_target() is not None and xla_call.layout_is_known()


def kernels_accept(arrays: tuple[Array | np.ndarray, ...]) -> bool:
    """Return whether kernels can compute with these arrays: float32, none of them empty, on a supported CPU."""
    fitting = all(array.dtype == jnp.float32 and array.size for array in arrays)
    return fitting and jax.default_backend() == "cpu" and kernels_supported()
