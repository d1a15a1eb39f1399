"""Q-networks: a vector of observations in, one value per action out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from softstep.config import Config
from softstep.errors import ConfigError
from softstep.kernels.mlp import mlp, mlp_kernel_accepts
from softstep.kernels.support import Params as Params
from softstep.user_code import guarded, import_user_module


class MLP(eqx.Module):
    """Fully connected layers with ReLU between them; the last layer is linear.

    With `normalization` "layer", each ReLU is preceded by LayerNorm: (x − mean)/√(variance + 10⁻⁵)·scale + shift, over
    the units of the layer. Sources: Ba et al. 2016; Gallici et al. 2025 (PQN), who do without a target network by it.
    """

    norms: tuple[eqx.nn.LayerNorm, ...]
    layers: tuple[eqx.nn.Linear, ...]
    """After the norms, so that the last layer's arrays are the last parameters."""

    def __init__(
        self,
        sizes: Sequence[int],
        initializer: Literal["fan_in", "glorot"] = "fan_in",
        normalization: Literal["none", "layer"] = "none",
        *,
        key: PRNGKeyArray,
    ) -> None:
        """Create the layers `sizes[0] → sizes[1] → …`.

        `fan_in` draws weights and biases from U(±1/√n_in) (PyTorch's default); `glorot` draws weights from
        U(±√(6/(n_in + n_out))) with zero biases (Keras's default).
        """
        keys = jax.random.split(key, len(sizes) - 1)
        layers = [eqx.nn.Linear(i, o, key=k) for i, o, k in zip(sizes[:-1], sizes[1:], keys, strict=True)]
        self.layers = tuple(map(_glorot, layers, keys) if initializer == "glorot" else layers)
        self.norms = tuple(map(eqx.nn.LayerNorm, sizes[1:-1])) if normalization == "layer" else ()

    def __call__(self, observation: Float[Array, " O"]) -> Float[Array, " A"]:
        """Return Q(s, ·)."""
        x = observation
        for n, layer in enumerate(self.layers[:-1]):
            x = layer(x)
            x = jax.nn.relu(self.norms[n](x) if self.norms else x)
        return self.layers[-1](x)


def _glorot(layer: eqx.nn.Linear, key: PRNGKeyArray) -> eqx.nn.Linear:
    weight = jax.nn.initializers.glorot_uniform(in_axis=1, out_axis=0)(key, layer.weight.shape)
    return eqx.tree_at(lambda m: (m.weight, m.bias), layer, (weight, jnp.zeros(layer.out_features)))


class Network(NamedTuple):
    """A Q-network as a pair of pure functions."""

    init: Callable[[PRNGKeyArray], Params]
    """key → initial parameters."""
    apply: Callable[[Params, Array], Array]
    """(parameters, observation (O,)) → action values (A,)."""
    batch: Callable[[Params, Array], Array]
    """(parameters, observations (B, O)) → action values (B, A)."""
    plain_mlp: bool
    """Whether `numpy_q_values` can compute it."""
    parameter_names: tuple[str, ...]
    """Path of each parameter array in the network, for example `0/weight`; checkpoints use them as keys."""


def make_network(config: Config, observation_size: int, num_actions: int) -> Network:
    """Build the configured network: the MLP, or the user's own."""
    if config.network is None:
        sizes = (observation_size, *config.hidden, num_actions)
        if config.normalization == "none":
            return mlp_network(sizes, config.initializer)
        return from_builder(lambda key: MLP(sizes, config.initializer, config.normalization, key=key))
    build = _import_function(config.network)
    with guarded(f"network = {config.network!r} fails"):
        network = from_builder(lambda key: build(key, observation_size, num_actions))
        values = jax.eval_shape(
            lambda key, o: network.apply(network.init(key), o), jax.random.key(0), jnp.zeros(observation_size)
        )
    shape = getattr(values, "shape", type(values).__name__)
    if shape != (num_actions,):
        raise ConfigError(f"network = {config.network!r} returns shape {shape}: it must return ({num_actions},)")
    return network


def from_builder(build: Callable[[PRNGKeyArray], Any]) -> Network:
    """Return a `Network` from a function that makes an Equinox module (or any callable pytree) from a key."""
    trainable, static = eqx.partition(build(jax.random.key(0)), eqx.is_inexact_array)
    structure = jax.tree.structure(trainable)
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(trainable)]
    names = tuple(jax.tree_util.keystr(path, simple=True, separator="/") or "value" for path in paths)

    def apply(params: Params, observation: Array) -> Array:
        values: Array = eqx.combine(jax.tree.unflatten(structure, params), static)(observation)
        return values

    batch = jax.vmap(apply, in_axes=(None, 0))
    return Network(lambda key: _trainable(build(key)), apply, batch, plain_mlp=False, parameter_names=names)


def mlp_network(sizes: Sequence[int], initializer: Literal["fan_in", "glorot"]) -> Network:
    """Return the `MLP` as a `Network`, without building one."""
    return Network(
        init=lambda key: _trainable(MLP(sizes, initializer, key=key)),
        apply=lambda params, observation: mlp_batch(params, observation[None])[0],
        batch=mlp_batch,
        plain_mlp=True,
        parameter_names=tuple(f"{layer}/{kind}" for layer in range(len(sizes) - 1) for kind in ("weight", "bias")),
    )


def _trainable(module: Any) -> Params:
    return tuple(jax.tree.leaves(eqx.filter(module, eqx.is_inexact_array)))


def mlp_batch(params: Params, observations: Float[Array | np.ndarray, "B O"]) -> Float[Array, "B A"]:
    """Evaluate the MLP on a batch, from its weights and biases in turn: with our own kernels if they fit, else XLA."""
    x = jnp.asarray(observations)
    if mlp_kernel_accepts(params, x):
        return mlp(params, x)
    *hidden, (weight, bias) = zip(params[::2], params[1::2], strict=True)
    for hidden_weight, hidden_bias in hidden:
        x = jax.nn.relu(x @ hidden_weight.T + hidden_bias)
    return x @ weight.T + bias


def _import_function(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    if not module or not name:
        raise ConfigError(f"network = {path!r} does not name a function: write it as module:function")
    setting = f"network = {path!r}"
    function = getattr(import_user_module(module, setting), name, None)
    if function is None:
        raise ConfigError(f"{setting} cannot be loaded: the module {module} has no {name}")
    if not callable(function):
        raise ConfigError(f"network = {path!r} is not a function")
    return function


def flatten_parameters(params: Params) -> Float[Array, " N"]:
    """Concatenate all parameters into one vector, so that the host reads them in a single transfer."""
    return jnp.concatenate([leaf.ravel() for leaf in params])


def unflatten_parameters(network: Network, packed: Float[Array, " N"]) -> Params:
    """Return the parameters that `flatten_parameters` has concatenated."""
    shapes = [leaf.shape for leaf in jax.eval_shape(network.init, jax.random.key(0))]
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes))
    parts = zip(shapes, [0, *ends], ends, strict=False)
    return tuple(packed[start:end].reshape(shape) for shape, start, end in parts)


def numpy_q_values(sizes: Sequence[int]) -> Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    """Build the MLP in NumPy, for acting between two updates without the overhead of a compiled call.

    Returns: a function from flattened parameters (W, N) to a function from observations (W, E, O) to action values
    (W, E, A). NumPy computes stacked products slice by slice, so an agent's bits do not depend on W.
    """
    shapes = list(itertools.pairwise(sizes))

    def load(parameters: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        layers, start, agents = [], 0, len(parameters)
        for fan_in, fan_out in shapes:
            middle, end = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
            weight = parameters[:, start:middle].reshape(agents, fan_out, fan_in).transpose(0, 2, 1)
            layers.append((weight, parameters[:, None, middle:end]))
            start = end
        *hidden, (weight, bias) = layers

        def q_values(x: np.ndarray) -> np.ndarray:
            for hidden_weight, hidden_bias in hidden:
                x = np.matmul(x, hidden_weight)
                x += hidden_bias
                np.maximum(x, _ZERO, out=x)
            x = np.matmul(x, weight)
            x += bias
            return x

        return q_values

    return load


_ZERO = np.zeros((), np.float32)
