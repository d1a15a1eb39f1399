"""The settings of JAX on which the bits of a run depend, with the values that softstep computes under.

This module imports no JAX, so that `runs` can record the table and give it to worker processes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

PINNED: Mapping[str, Any] = {
    "jax_enable_x64": False,
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_enable_custom_prng": False,
    "jax_default_matmul_precision": None,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_disable_jit": False,
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_debug_key_reuse": False,
    "jax_check_tracer_leaks": False,
}
"""Settings that JAX can set for one thread and for the length of a block of code: `pinned` sets them."""

ON_A_GPU: Mapping[str, Any] = {"jax_default_matmul_precision": "highest"}
"""What differs there: a GPU's matrix units round the factors of a product to 10 bits unless they are asked for float32.
On an H100 the product of two 64 × 64 matrices was off by 3e-4 of its largest number, and by 2e-7 in float32."""

PER_PROCESS: Mapping[str, Any] = {
    "jax_random_seed_offset": 0,
    "jax_disable_most_optimizations": False,
    "jax_optimization_level": "UNKNOWN",
    "jax_exec_time_optimization_effort": 0.0,
    "jax_use_direct_linearize": True,
}
"""Settings that hold for a whole process: softstep's own processes start with them, others are refused."""


def environment() -> dict[str, str]:
    """Return the environment variables that set `PER_PROCESS` and the platform in a process of softstep's own."""
    values = {name: int(value) if isinstance(value, bool) else value for name, value in PER_PROCESS.items()}
    return {"JAX_PLATFORMS": "cpu"} | {name.upper(): str(value) for name, value in values.items()}


def pinned_on(device: str) -> dict[str, Any]:
    """Return the settings under which softstep computes on a device, `cpu` or `gpu`."""
    return {**PINNED, **(ON_A_GPU if device == "gpu" else {})}


def recorded(device: str) -> dict[str, Any]:
    """Return what `versions.json` records of JAX's settings; XLA_FLAGS are not pinned, only recorded."""
    return {"jax_settings": {**pinned_on(device), **PER_PROCESS}, "xla_flags": os.environ.get("XLA_FLAGS", "")}
