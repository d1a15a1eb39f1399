"""The MLP of a Q-network as machine code of our own, for one core of a CPU.

XLA spends a third of an update of small layers between its matrix products: on rearranging arrays, on passes for biases
and ReLUs, and on products too narrow for its kernels. Here each pass over a batch is one function, emitted
for the network's sizes (`mlp_passes`), compiled by LLVM (`native`) and called by XLA (`xla_call`). Any other network,
device or dtype is left to XLA.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from softstep.kernels import mlp_passes, xla_call
from softstep.kernels.mlp_passes import MLPShape
from softstep.kernels.support import Params, kernels_accept

SMALLEST_BATCH = 16
"""The fewest samples the kernel is used for: with fewer, a tile of a product would be mostly empty."""


def mlp_kernel_accepts(params: Params, observations: Array | np.ndarray) -> bool:
    """Return whether `mlp` can compute these: enough samples, in arrays that the kernels accept."""
    return len(observations) >= SMALLEST_BATCH and kernels_accept((*params, observations))


@jax.custom_vjp
def mlp(params: Params, observations: Float[Array, "B O"]) -> Float[Array, "B A"]:
    """Compute the values of an MLP with ReLU between its layers; differentiable.

    Args:
        params: weights (J, I) and biases (J,), layer by layer.
        observations: (B, O).

    Returns: (B, A).
    """
    values, _ = forward(params, observations)
    return values


def forward(params: Params, observations: Array) -> tuple[Float[Array, "B A"], list[Array]]:
    """Return the values, and the observations (O, B) and hidden layers (J, B) that a pass backward needs."""
    values, *activations = _pass("forward", mlp_shape(params, observations))(*params, observations)
    return values.T, activations


class _Residuals(NamedTuple):
    params: Params
    observations: Array
    activations: list[Array]
    wants: tuple[tuple[()] | None, tuple[()] | None]
    """Empty tuples where the gradient with respect to the parameters, or to the observations, is asked for."""


def _forward(params: Any, observations: Any) -> tuple[Array, _Residuals]:
    wants = any(leaf.perturbed for leaf in params), observations.perturbed
    weights, inputs = tuple(leaf.value for leaf in params), observations.value
    values, activations = forward(weights, inputs)
    first, second = (() if wanted else None for wanted in wants)
    return values, _Residuals(weights, inputs, activations, (first, second))


def _backward(residuals: _Residuals, gradient: Any) -> tuple[Params | None, Array | None]:
    """Compute ∂/∂W and ∂/∂X by a pass each, if they are asked for."""
    params, observations, activations, (wants_params, wants_inputs) = residuals
    if isinstance(gradient, SymbolicZero):
        gradient = jnp.zeros(gradient.shape, gradient.dtype)
    shape, gradients, inputs = mlp_shape(params, observations), None, None
    if wants_params is not None:
        *by_layer, _ = _pass("backward", shape)(*params, observations, *activations, gradient.T)
        gradients = tuple(by_layer)
    if wants_inputs is not None:
        inputs, _ = _pass("input_gradient", shape)(*params, *activations, gradient.T)
    return gradients, inputs


mlp.defvjp(_forward, _backward, symbolic_zeros=True)


def mlp_shape(params: Params, observations: Array) -> MLPShape:
    """Return the widths and the batch of an MLP with these parameters and observations."""
    return MLPShape((observations.shape[1], *(bias.shape[0] for bias in params[1::2])), len(observations))


@functools.cache
def _pass(name: str, shape: MLPShape) -> Callable[..., Any]:
    """Return one of the passes as a function of JAX arrays."""
    signature, emit = mlp_passes.PASSES[name]
    return xla_call.jax_function(
        name, shape, signature(shape), lambda module, registers: emit(module, shape, registers)
    )
