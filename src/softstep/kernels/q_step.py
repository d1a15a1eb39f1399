"""A gradient step of deep Q-learning and the blend that follows, as one function for one agent.

    y = r + γ·d·T(s′, argmax_a S(s′, a)),    S = T for Q-learning, S = Q for double Q-learning
    Q ← Adam(Q, ∂/∂Q mean loss(y − Q(s, a))),    then the blend of T

It calls the passes of `mlp_passes` and the step of `adam`. XLA would call each of them by itself, and rearrange arrays
in between.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float
from llvmlite import ir

from softstep.kernels import adam, mlp_passes, xla_call
from softstep.kernels.adam import CHECKS, SCALARS, Constants
from softstep.kernels.emit import Emitter
from softstep.kernels.llvm_types import Matrix, Registers, Signature, declare_function
from softstep.kernels.mlp_passes import MLPShape
from softstep.kernels.support import Params
from softstep.transition import Transition

CACHE_LINE = 16
"""Floats in a cache line: no vector of a piece of working memory that begins at a multiple of it crosses a line."""


class Rule(NamedTuple):
    """What kind of gradient step is taken."""

    loss: Literal["squared", "huber"]
    double_q: bool
    adam: Constants


class Stepped(NamedTuple):
    """The result of `q_step`."""

    online: Params
    target: Params
    mu: Params
    nu: Params
    loss: Float[Array, ""]
    """The mean loss before the step."""
    finite: Array
    """Whether all of Q is finite."""


def q_step(
    rule: Rule,
    online: Params,
    target: Params,
    mu: Params,
    nu: Params,
    batch: Transition,
    gamma: Any,
    scalars: Float[Array, " 5"],
) -> Stepped:
    """Take a gradient step of Q, then update T if that is due; the module's docstring has the formulas.

    Args:
        rule: the kind of step.
        online: Q, weights (J, I) and biases (J,), layer by layer.
        target: T.
        mu: Adam's first moments.
        nu: Adam's second moments.
        batch: B transitions.
        gamma: γ.
        scalars: what `adam.pack_scalars` makes of α, the number of Adam's step, τ, and whether T is updated.
    """
    shape = MLPShape((batch.observation.shape[1], *(bias.shape[0] for bias in online[1::2])), len(batch.observation))
    numbers = [jnp.asarray(n, jnp.float32) for n in (batch.action, batch.reward, gamma * batch.discount)]
    observations = batch.observation, batch.next_observation
    outputs = _jax_function(shape, rule)(*online, *target, *mu, *nu, *observations, *numbers, scalars)
    *networks, checks, loss, _ = outputs
    q, t, m, v = (tuple(networks[n : n + len(online)]) for n in range(0, len(networks), len(online)))
    return Stepped(q, t, m, v, loss[0], jnp.sum(checks) == 0)


@functools.cache
def _jax_function(shape: MLPShape, rule: Rule) -> Callable[..., Any]:
    return xla_call.jax_function(
        "q_step",
        (shape, rule),
        signature(shape),
        lambda module, registers: emit(module, shape, rule, registers),
        in_place=4 * len(shape.parameters),
    )


def signature(shape: MLPShape) -> Signature:
    """Return (Q…, T…, μ…, ν…, s, s′, a, r, γ·d, scalars) → (Q…, T…, μ…, ν…, checks, loss, working memory)."""
    networks, observations = shape.parameters * 4, (shape.batch, shape.sizes[0])
    reads = [*networks, *[observations] * 2, *[(shape.batch,)] * 3, (len(SCALARS),)]
    return Signature(reads, [*networks, (CHECKS,), (1,), (sum(map(padded, _pieces(shape))),)], shared=1)


def _pieces(shape: MLPShape) -> list[int]:
    """Return the sizes of the pieces of working memory, in the order in which `emit` takes them.

    Q(s, ·), T(s′, ·), S(s′, ·) and ∂/∂Q(s, ·), losses, activations, gradients, and the backward pass's own memory.
    """
    values = shape.sizes[-1] * shape.batch
    arrays = [*shape.activations, *shape.parameters]
    return [*[values] * 4, shape.batch, *map(math.prod, arrays), 3 * max(shape.sizes) * shape.batch]


def padded(size: int) -> int:
    """Return `size`, rounded up to whole cache lines."""
    return -(-size // CACHE_LINE) * CACHE_LINE


def emit(module: ir.Module, shape: MLPShape, rule: Rule, registers: Registers) -> None:
    """Emit the function `q_step` into the module, with those that it calls."""
    mlp_passes.emit_forward(module, shape, registers)
    mlp_passes.emit_backward(module, shape, registers)
    adam.emit(module, tuple(shape.parameters), rule.adam, True, registers)
    function = declare_function(module, "q_step", signature(shape), noalias=False)
    code, count, depth = Emitter(function, registers), len(shape.parameters), len(shape.layers)
    networks, rest = function.args[: 4 * count], function.args[4 * count :]
    (states, next_states, actions, rewards, discounts, scalars), results = rest[:6], rest[6:]
    *new_networks, checks, loss, memory = results
    starts = itertools.accumulate(map(padded, _pieces(shape)), initial=0)
    values, next_values, selectors, gradient, losses, *arrays, own = [code.address(memory, n) for n in starts][:-1]
    activations, gradients = arrays[:depth], arrays[depth:]
    online, target = networks[:count], networks[count : 2 * count]
    forward, backward, step = (module.get_global(name) for name in ("forward", "backward", "adam"))
    code.builder.call(forward, [*target, next_states, next_values, *activations])
    if rule.double_q:
        code.builder.call(forward, [*online, next_states, selectors, *activations])
    code.builder.call(forward, [*online, states, values, *activations])
    batch = Batch(actions, rewards, discounts, values, next_values, selectors if rule.double_q else next_values)
    emit_loss(code, shape, rule, batch, losses, gradient)
    mean = code.constant(1 / shape.batch, 1)
    code.row_sums(
        1, shape.batch, Matrix(losses, shape.batch), loss, finish=lambda total, *_: code.builder.fmul(total, mean)
    )
    code.builder.call(backward, [*online, states, *activations, gradient, *gradients, own])
    code.builder.call(step, [*networks, *gradients, scalars, *new_networks, checks])
    code.builder.ret_void()


class Batch(NamedTuple):
    """Pointers to the numbers (B,) of a minibatch, and to values (A, B)."""

    actions: ir.Value
    rewards: ir.Value
    discounts: ir.Value
    """γ·d."""
    values: ir.Value
    """Q(s, ·)."""
    next_values: ir.Value
    """T(s′, ·)."""
    selectors: ir.Value
    """S(s′, ·)."""


def emit_loss(code: Emitter, shape: MLPShape, rule: Rule, batch: Batch, losses: ir.Value, gradient: ir.Value) -> None:
    """Emit the losses (B,) of y − Q(s, a), and the gradient (A, B) of their mean with respect to Q(s, ·)."""
    build, actions = code.builder, shape.sizes[-1]

    def samples(i: ir.Value, width: int) -> None:
        def row(values: ir.Value, action: int) -> ir.Value:
            return code.load(code.address(values, action * shape.batch), i, width)

        taken = code.load(batch.actions, i, width)
        masks = [build.fcmp_ordered("==", taken, code.constant(float(a), width)) for a in range(actions)]
        zero, value = code.constant(0.0, width), code.constant(0.0, width)
        best, selector = row(batch.next_values, 0), row(batch.selectors, 0)
        for a, mask in enumerate(masks):
            value = build.select(mask, row(batch.values, a), value)
            other = row(batch.selectors, a)
            better = _is_better(build, other, selector)
            best = build.select(better, row(batch.next_values, a), best)
            selector = build.select(better, other, selector)
        y = build.fadd(code.load(batch.rewards, i, width), build.fmul(code.load(batch.discounts, i, width), best))
        loss, slope = _emit_loss_of_error(code, rule, build.fsub(y, value), width)
        code.store(loss, losses, i)
        slope = build.fmul(slope, code.constant(-1 / shape.batch, width))
        for a, mask in enumerate(masks):
            code.store(build.select(mask, slope, zero), code.address(gradient, a * shape.batch), i)

    code.sweep(shape.batch, samples)


def _is_better(build: ir.IRBuilder, value: ir.Value, best: ir.Value) -> ir.Value:
    """Emit whether a value replaces the best so far: if it is larger, or not a number, as in `jax.numpy.argmax`."""
    return build.or_(build.fcmp_ordered(">", value, best), build.fcmp_unordered("uno", value, value))


def _emit_loss_of_error(code: Emitter, rule: Rule, error: ir.Value, width: int) -> tuple[ir.Value, ir.Value]:
    """Emit the loss of a TD error, and its derivative."""
    build, (one, half) = code.builder, (code.constant(number, width) for number in (1.0, 0.5))
    square = build.fmul(error, error)
    if rule.loss == "squared":
        return square, build.fadd(error, error)
    size = build.call(code.intrinsic("fabs", error.type, 1), [error])
    is_small = build.fcmp_ordered("<=", size, one)
    sign = build.call(code.intrinsic("copysign", error.type, 2), [one, error])
    loss = build.select(is_small, build.fmul(half, square), build.fsub(size, half))
    return loss, build.select(is_small, error, sign)
