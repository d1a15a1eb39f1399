"""Copies of some rows of an array, such as a minibatch from the replay memory.

Left to itself, XLA computes the address of a row again for each of its numbers, with two divisions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32
from llvmlite import ir

from softstep.kernels import xla_call
from softstep.kernels.emit import Emitter
from softstep.kernels.llvm_types import Registers, Signature, declare_function
from softstep.kernels.support import kernels_accept


def gather_rows(rows: Float[Array, "slots width"], at: Int32[Array, ...]) -> Float[Array, "... width"]:
    """Return rows[at]; every index must lie within the array."""
    if not at.size or not kernels_accept((rows,)):
        return rows.at[at].get(mode="promise_in_bounds")
    count, (slots, width) = math.prod(at.shape), rows.shape
    (copies,) = _jax_function(slots, width, count)(rows, jax.lax.bitcast_convert_type(at.ravel(), jnp.float32))
    return copies.reshape(*at.shape, width)


@functools.cache
def _jax_function(slots: int, width: int, count: int) -> Callable[..., Any]:
    return xla_call.jax_function(
        "gather_rows",
        (slots, width, count),
        Signature([(slots, width), (count,)], [(count, width)]),
        lambda module, registers: emit(module, (slots, width), count, registers),
    )


def emit(module: ir.Module, shape: tuple[int, int], count: int, registers: Registers) -> None:
    """Emit the function `gather_rows` into the module: (rows, indices as 32-bit integers) → (copies).

    Args:
        module: the module to add to.
        shape: shape of the array.
        count: number of rows to copy.
        registers: the CPU's registers.
    """
    function = declare_function(module, "gather_rows", Signature([shape, (count,)], [(count, shape[1])]))
    code, (rows, indices, copies) = Emitter(function, registers), function.args
    with code.loop(count) as n:
        source = code.array_address(rows, code.load_index(indices, n), shape[1])
        code.copy(shape[1], source, code.array_address(copies, n, shape[1]))
    code.builder.ret_void()
