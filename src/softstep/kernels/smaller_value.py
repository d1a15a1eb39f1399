"""The smaller of two critics' values, min(Q₀(s, a), Q₁(s, a)), and its gradient with respect to the action.

An actor learns from the smaller value of each sample. A pass through each critic would compute the gradients of both,
half of which are zero. Here one pass serves both: each sample, a lane of a register, takes its weights and its hidden
layers from the critic with the smaller value, the first if they are equal. It ends at the action's rows of the first
layer, since the observation learns nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float
from llvmlite import ir

from softstep.kernels import mlp, xla_call
from softstep.kernels.emit import Emitter
from softstep.kernels.llvm_types import Either, Matrix, Registers, Signature, declare_function
from softstep.kernels.mlp_passes import MLPShape
from softstep.kernels.support import Params


class PairShape(NamedTuple):
    """Two critics of the same widths, and how many numbers an action has."""

    critic: MLPShape
    actions: int
    """A."""


def gradient_signature(shape: PairShape) -> Signature:
    """Return (weights (2, J, I)…, hidden layers (2, J, B)…, choice (B,), ∂min (1, B)) → (∂a (B, A), working memory)."""
    critic = shape.critic
    weights, hidden = [(2, j, i) for i, j in critic.layers], [(2, *layer) for layer in critic.activations[1:]]
    memory = (2, max(critic.sizes) * critic.batch)
    return Signature(
        [*weights, *hidden, (critic.batch,), (1, critic.batch)], [(critic.batch, shape.actions), memory], shared=1
    )


def emit_gradient(module: ir.Module, shape: PairShape, registers: Registers) -> None:
    """Emit the function `smaller_gradient` into the module."""
    function = declare_function(module, "smaller_gradient", gradient_signature(shape))
    emit, layers, batch = Emitter(function, registers), shape.critic.layers, shape.critic.batch
    weights, hidden = function.args[: len(layers)], function.args[len(layers) : -4]
    second_where, gradient, actions, memory = function.args[-4:]
    buffers = [emit.address(memory, n * max(shape.critic.sizes) * batch) for n in range(2)]

    def either(arrays: ir.Value, rows: int, columns: int, skipped: int = 0) -> Either:
        """Return the two matrices of an array, without their first `skipped` columns."""
        first, second = (Matrix(emit.address(arrays, n * rows * columns + skipped), columns) for n in range(2))
        return Either(first, second, second_where)

    for n in reversed(range(len(layers))):
        fan_in, fan_out = layers[n]
        rows, below = (fan_in if n > 0 else shape.actions), Matrix(buffers[n % 2], batch)
        weight = either(weights[n], fan_out, fan_in, fan_in - rows).transposed
        active = emit.where_positive(either(hidden[n - 1], fan_in, batch)) if n > 0 else None
        emit.product((rows, batch, fan_out), weight, Matrix(gradient, batch), below, finish=active)
        gradient = below.data
    emit.transpose(shape.actions, batch, Matrix(gradient, batch), Matrix(actions, shape.actions))
    emit.builder.ret_void()


@jax.custom_vjp
def smaller_value(
    critics: Params, observations: Float[Array, "B O"], actions: Float[Array, "B A"]
) -> Float[Array, " B"]:
    """Compute min(Q₀(s, a), Q₁(s, a)); differentiable with respect to the actions.

    Args:
        critics: weights (2, J, I) and biases (2, J), layer by layer; the first layer takes O + A numbers.
        observations: s.
        actions: a.

    Raises:
        TypeError: another derivative is asked for.
    """
    values, _ = _both(critics, observations, actions)
    return jnp.min(values, axis=0)


def _both(critics: Params, observations: Array, actions: Array) -> tuple[Float[Array, "2 B"], list[Array]]:
    """Return both values, and the activations of both."""
    inputs = jnp.concatenate([observations, actions], axis=-1)
    values, activations = jax.vmap(mlp.forward, in_axes=(0, None))(critics, inputs)
    return values[..., 0], activations


def _forward(critics: Any, observations: Any, actions: Any) -> tuple[Array, tuple[Params, list[Array], Array, Array]]:
    if observations.perturbed or any(leaf.perturbed for leaf in critics):
        raise TypeError("smaller_value can be differentiated with respect to the actions alone")
    params = tuple(leaf.value for leaf in critics)
    values, (_, *hidden) = _both(params, observations.value, actions.value)
    second = (values[1] < values[0]).astype(jnp.float32)
    return jnp.min(values, axis=0), (params[::2], hidden, second, actions.value)


def _backward(residuals: tuple[Params, list[Array], Array, Array], gradient: Any) -> tuple[None, None, Array]:
    weights, hidden, second, actions = residuals
    if isinstance(gradient, SymbolicZero):
        return None, None, jnp.zeros_like(actions)
    sizes = weights[0].shape[-1], *(weight.shape[-2] for weight in weights)
    shape = PairShape(MLPShape(sizes, len(actions)), actions.shape[-1])
    result, _ = _gradient(shape)(*weights, *hidden, second, gradient[None])
    return None, None, result


smaller_value.defvjp(_forward, _backward, symbolic_zeros=True)


@functools.cache
def _gradient(shape: PairShape) -> Callable[..., Any]:
    """Return the pass as a function of JAX arrays."""
    signature = gradient_signature(shape)
    return xla_call.jax_function(
        "smaller_gradient", shape, signature, lambda module, registers: emit_gradient(module, shape, registers)
    )
