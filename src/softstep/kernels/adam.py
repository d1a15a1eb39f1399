"""A step of Adam and the blend of the target network, in one pass over an agent's parameters.

    μ ← β₁·μ + (1 − β₁)·g,    ν ← β₂·ν + (1 − β₂)·g²
    Q ← Q − α·(μ / (1 − β₁ᵗ)) / (√(ν / (1 − β₂ᵗ) + ε_root) + ε)
    T ← T, Q or T + τ·(Q − T)

Source: Kingma & Ba 2015, algorithm 1, with optax's second ε inside the root.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array
from llvmlite import ir

from softstep.kernels import xla_call
from softstep.kernels.emit import Emitter
from softstep.kernels.llvm_types import INT, ArrayShape, Registers, Signature, declare_function
from softstep.kernels.support import Params


class Constants(NamedTuple):
    """Adam's hyperparameters except α, with optax's names and defaults."""

    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    eps_root: float = 0.0


SCALARS = ("rate", "correction", "tau", "copies", "moves")
"""α/(1 − β₁ᵗ), 1/(1 − β₂ᵗ), τ, whether T becomes Q (1 or 0), and whether T changes at all (1 or 0)."""

CHECKS = 16
"""Length of the vector of checks: the lanes of the widest register."""


def adam_step(
    constants: Constants,
    online: Params,
    target: Params,
    mu: Params,
    nu: Params,
    gradient: Params,
    learning_rate: Any,
    count: Any,
    tau: Any,
    fire: Any,
) -> tuple[Params, Params, Params, Params, Array]:
    """Take one step of Adam, then update the target if `fire`; the module's docstring has the formula.

    Args:
        constants: β₁, β₂, ε and ε_root.
        online: Q.
        target: T; empty, (), for a network without a target.
        mu: μ, the first moments.
        nu: ν, the second moments.
        gradient: g.
        learning_rate: α.
        count: t, the number of this step, from 1.
        tau: τ; at 1 the target becomes an exact copy.
        fire: whether the target is updated.

    Returns: Q, T, μ, ν, and whether all of Q is finite.
    """
    step = _jax_function(tuple(array.shape for array in online), constants, bool(target))
    scalars = pack_scalars(constants, learning_rate, count, tau, fire)
    *arrays, checks = step(*online, *target, *mu, *nu, *gradient, scalars)
    q, *t, m, v = (tuple(arrays[n : n + len(online)]) for n in range(0, len(arrays), len(online)))
    return q, t[0] if t else (), m, v, jnp.sum(checks) == 0


def pack_scalars(constants: Constants, learning_rate: Any, count: Any, tau: Any, fire: Any) -> Array:
    """Return `SCALARS` as one array; the arguments are those of `adam_step`."""
    scalars = {
        "rate": learning_rate / (1 - constants.b1**count),
        "correction": 1 / (1 - constants.b2**count),
        "tau": tau,
        "copies": tau == 1,
        "moves": fire,
    }
    return jnp.stack([jnp.asarray(scalars[name], jnp.float32) for name in SCALARS])


@functools.cache
def _jax_function(shapes: tuple[ArrayShape, ...], constants: Constants, has_target: bool) -> Callable[..., Any]:
    return xla_call.jax_function(
        "adam",
        (shapes, constants, has_target),
        signature(shapes, has_target),
        lambda module, registers: emit(module, shapes, constants, has_target, registers),
        in_place=(3 + has_target) * len(shapes),
    )


def signature(shapes: tuple[ArrayShape, ...], has_target: bool) -> Signature:
    """Return (Q…, T…, μ…, ν…, ∂Q…, scalars) → (Q…, T…, μ…, ν…, checks); without T if there is no target.

    The checks sum to 0 if all of Q is finite, else to NaN.
    """
    kept = 3 + has_target
    return Signature([*shapes * (kept + 1), (len(SCALARS),)], [*shapes * kept, (CHECKS,)])


def emit(
    module: ir.Module, shapes: tuple[ArrayShape, ...], constants: Constants, has_target: bool, registers: Registers
) -> None:
    """Emit the function `adam` into the module; it may write its results over what it reads.

    Args:
        module: the module to add to.
        shapes: shapes of the parameters.
        constants: β₁, β₂, ε and ε_root.
        has_target: whether there is a T.
        registers: the CPU's registers.
    """
    count, function = len(shapes), declare_function(module, "adam", signature(shapes, has_target), noalias=False)
    code = Emitter(function, registers)
    build = code.builder
    read = (4 + has_target) * count
    inputs, (scalars, *outputs, check) = function.args[:read], function.args[read:]
    code.store(code.constant(0.0, CHECKS), check, INT(0))
    for n, shape in enumerate(shapes):

        def update(i: ir.Value, width: int, n: int = n) -> None:
            scalar = {name: code.broadcast(code.load_number(scalars, k), width) for k, name in enumerate(SCALARS)}
            new = _emit_step(code, [code.load(array, i, width) for array in inputs[n::count]], scalar, constants, width)
            for array, value in zip(outputs[n::count], new, strict=True):
                code.store(value, array, i)
            zero = build.fmul(new[0], code.constant(0.0, width))  # NaN if Q is not finite
            code.store(build.fadd(code.load(check, INT(0), width), zero), check, INT(0))

        code.sweep(math.prod(shape), update)
    build.ret_void()


def _emit_step(
    code: Emitter, vectors: list[ir.Value], scalar: dict[str, ir.Value], constants: Constants, width: int
) -> list[ir.Value]:
    """Emit the step of one vector of parameters.

    Args:
        code: the emitter.
        vectors: Q, T (if there is one), μ, ν and ∂Q.
        scalar: `SCALARS` by name, in every lane of a vector.
        constants: β₁, β₂, ε and ε_root.
        width: length of the vectors.

    Returns: all but ∂Q after the step.
    """
    build = code.builder
    b1, b2, eps, eps_root = (code.constant(value, width) for value in constants)
    rest1, rest2, zero = (code.constant(value, width) for value in (1 - constants.b1, 1 - constants.b2, 0.0))
    q, *target, mu, nu, g = vectors
    mu = build.fadd(build.fmul(rest1, g), build.fmul(b1, mu))
    nu = build.fadd(build.fmul(rest2, build.fmul(g, g)), build.fmul(b2, nu))
    root = code.square_root(build.fadd(build.fmul(nu, scalar["correction"]), eps_root))
    q = build.fsub(q, build.fdiv(build.fmul(mu, scalar["rate"]), build.fadd(root, eps)))
    for n, t in enumerate(target):
        blended = build.fadd(t, build.fmul(scalar["tau"], build.fsub(q, t)))
        moved = build.select(build.fcmp_ordered(">", scalar["copies"], zero), q, blended)
        target[n] = build.select(build.fcmp_ordered(">", scalar["moves"], zero), moved, t)
    return [q, *target, mu, nu]
