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

from softstep.kernels import adam, native, passes
from softstep.kernels.adam import Constants
from softstep.kernels.passes import Shape

Params = tuple[Array, ...]
"""A network's floating-point arrays, in the order of its pytree's leaves."""

SMALLEST_BATCH = 16
"""Below, a tile of a product would be mostly empty."""


def usable(params: Params, observations: Array) -> bool:
    """Whether `mlp` computes these: enough samples, and all of it `fit`."""
    return len(observations) >= SMALLEST_BATCH and fit((*params, observations))


def fit(arrays: Params) -> bool:
    """Whether arrays are for kernels: float32, none of them empty, on a CPU that kernels can be made for."""
    sound = all(array.dtype == jnp.float32 and array.size for array in arrays)
    return sound and jax.default_backend() == "cpu" and native.supported()


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
    signature, emit = passes.PASSES[name]
    return native.call(name, shape, signature(shape), lambda module, registers: emit(module, shape, registers))


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
    packed = jnp.stack([jnp.asarray(scalars[name], jnp.float32) for name in adam.SCALARS])
    *new, checks = step(*online, *target, *mu, *nu, *gradient, packed)
    q, t, m, v = (tuple(new[n : n + len(online)]) for n in range(0, len(new), len(online)))
    return q, t, m, v, jnp.sum(checks) == 0


@functools.cache
def _adam(sizes: tuple[tuple[int, ...], ...], constants: Constants) -> Callable[..., Any]:
    return native.call(
        "adam",
        (sizes, constants),
        adam.signature(sizes),
        lambda module, registers: adam.emit(module, sizes, constants, registers),
        in_place=4 * len(sizes),
    )
