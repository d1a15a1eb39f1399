"""The MLP of a Q-network as machine code of our own, for one core of a CPU.

XLA spends a third of an update of small layers between its matrix products: on laying arrays out, on passes for biases
and ReLUs, on products too narrow for its kernels. Here the two passes over a batch are one function each, written for
the network's sizes by `passes`, compiled by LLVM and called by XLA (`native`). Any other network, device or dtype is
left to XLA.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from softstep.kernels import mlp_passes, xla_call
from softstep.kernels.mlp_passes import Shape
from softstep.kernels.support import Params, fit

SMALLEST_BATCH = 16
"""Below, a tile of a product would be mostly empty."""


def usable(params: Params, observations: Array) -> bool:
    """Whether `mlp` computes these: enough samples, and all of it `fit`."""
    return len(observations) >= SMALLEST_BATCH and fit((*params, observations))


@jax.custom_vjp
def mlp(params: Params, observations: Float[Array, "B O"]) -> Float[Array, "B A"]:
    """Values of the MLP with weights (J, I) and biases (J,) in turn, ReLU between the layers; differentiable."""
    values, *_ = _pass("forward", _shape(params, observations))(*params, observations)
    return values.T


def _forward(params: Params, observations: Array) -> tuple[Array, tuple[Params, Array, list[Array]]]:
    values, *activations = _pass("forward", _shape(params, observations))(*params, observations)
    return values.T, (params, observations, activations)


def _backward(kept: tuple[Params, Array, list[Array]], gradient: Array) -> tuple[Params, Array]:
    params, observations, activations = kept
    *gradients, _ = _pass("backward", _shape(params, observations))(*params, observations, *activations, gradient.T)
    return tuple(gradients), _by_observation(params, activations, gradient)


mlp.defvjp(_forward, _backward)


def _by_observation(params: Params, activations: list[Array], gradient: Array) -> Array:
    """∂/∂X, by XLA: learning asks only for ∂/∂W, and then this is never computed."""
    for weight, activation in zip(reversed(params[::2]), reversed(activations), strict=True):
        gradient = gradient @ weight
        if activation is not activations[0]:
            gradient = jnp.where(activation.T > 0, gradient, 0)
    return gradient


def _shape(params: Params, observations: Array) -> Shape:
    return Shape((observations.shape[1], *(bias.shape[0] for bias in params[1::2])), len(observations))


@functools.cache
def _pass(name: str, shape: Shape) -> Callable[..., Any]:
    """One of the passes as a function of arrays."""
    signature, emit = mlp_passes.PASSES[name]
    return xla_call.call(name, shape, signature(shape), lambda module, registers: emit(module, shape, registers))
