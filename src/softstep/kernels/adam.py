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
from softstep.kernels.emit import INT, Emitter, Registers, Signature, Size, function
from softstep.kernels.support import Params


class Constants(NamedTuple):
    """Adam's numbers but α, with optax's names and defaults."""

    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    eps_root: float = 0.0


SCALARS = ("rate", "correction", "tau", "copies", "moves")
"""α/(1 − β₁ᵗ), 1/(1 − β₂ᵗ), τ; whether T becomes Q (1 or 0), and whether it moves at all."""


CHECKS = 16
"""As many as the widest register has lanes."""


def signature(sizes: tuple[Size, ...]) -> Signature:
    """(Q…, T…, μ…, ν…, ∂Q…, scalars) → (Q…, T…, μ…, ν…, checks), whose sum is 0 where all of Q is finite, else NaN."""
    return Signature([*sizes * 5, (len(SCALARS),)], [*sizes * 4, (CHECKS,)])


def emit(module: ir.Module, sizes: tuple[Size, ...], constants: Constants, registers: Registers) -> None:
    """Write `adam` into the module; what it writes may lie where it reads."""
    count, adam = len(sizes), function(module, "adam", signature(sizes), apart=False)
    code = Emitter(adam, registers)
    build = code.builder
    given, (scalars, *results, check) = adam.args[: 5 * count], adam.args[5 * count :]
    code.store(code.constant(0.0, CHECKS), check, INT(0))
    for n, size in enumerate(sizes):

        def turn(i: ir.Value, width: int, n: int = n) -> None:
            scalar = {name: code.spread(code.number(scalars, k), width) for k, name in enumerate(SCALARS)}
            now = _stepped(code, [code.load(array, i, width) for array in given[n::count]], scalar, constants, width)
            for array, value in zip(results[n::count], now, strict=True):
                code.store(value, array, i)
            nought = build.fmul(now[0], code.constant(0.0, width))  # NaN where Q is not finite
            code.store(build.fadd(code.load(check, INT(0), width), nought), check, INT(0))

        code.sweep(math.prod(size), turn)
    build.ret_void()


def _stepped(
    code: Emitter, given: list[ir.Value], scalar: dict[str, ir.Value], constants: Constants, width: int
) -> list[ir.Value]:
    """Q, T, μ and ν after the step, of one vector of parameters."""
    build = code.builder
    b1, b2, eps, eps_root = (code.constant(value, width) for value in constants)
    rest1, rest2, zero = (code.constant(value, width) for value in (1 - constants.b1, 1 - constants.b2, 0.0))
    q, t, mu, nu, g = given
    mu = build.fadd(build.fmul(rest1, g), build.fmul(b1, mu))
    nu = build.fadd(build.fmul(rest2, build.fmul(g, g)), build.fmul(b2, nu))
    root = code.square_root(build.fadd(build.fmul(nu, scalar["correction"]), eps_root))
    q = build.fsub(q, build.fdiv(build.fmul(mu, scalar["rate"]), build.fadd(root, eps)))
    blended = build.fadd(t, build.fmul(scalar["tau"], build.fsub(q, t)))
    moved = build.select(build.fcmp_ordered(">", scalar["copies"], zero), q, blended)
    t = build.select(build.fcmp_ordered(">", scalar["moves"], zero), moved, t)
    return [q, t, mu, nu]


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
    """Step number `count` of Adam, then the target's update where `fire`.

    Returns: Q, T, μ, ν, and whether all of Q is finite. Formula and source: `kernels.adam`.
    """
    scalars = {
        "rate": learning_rate / (1 - constants.b1**count),
        "correction": 1 / (1 - constants.b2**count),
        "tau": tau,
        "copies": tau == 1,
        "moves": fire,
    }
    step = _adam(tuple(array.shape for array in online), constants)
    packed = jnp.stack([jnp.asarray(scalars[name], jnp.float32) for name in SCALARS])
    *new, checks = step(*online, *target, *mu, *nu, *gradient, packed)
    q, t, m, v = (tuple(new[n : n + len(online)]) for n in range(0, len(new), len(online)))
    return q, t, m, v, jnp.sum(checks) == 0


@functools.cache
def _adam(sizes: tuple[tuple[int, ...], ...], constants: Constants) -> Callable[..., Any]:
    return xla_call.call(
        "adam",
        (sizes, constants),
        signature(sizes),
        lambda module, registers: emit(module, sizes, constants, registers),
        in_place=4 * len(sizes),
    )
