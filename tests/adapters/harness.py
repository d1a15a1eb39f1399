"""All adapters behind one interface, so that one suite can test them.

A network is described by named arrays: `weight` and `bias` are parameters, `mean` is a floating-point buffer (a
statistic) and `count` an integer buffer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import keras
import numpy as np
import torch
from flax import nnx

from softstep.adapters import jax as jax_adapter
from softstep.adapters import keras as keras_adapter
from softstep.adapters import torch as torch_adapter
from softstep.target import TargetUpdate

Arrays = dict[str, np.ndarray]
PARAMETERS, BUFFERS = ("weight", "bias"), ("mean", "count")


def arrays(seed: int, shape: tuple[int, int] = (3, 4)) -> Arrays:
    """Draw the arrays of a network."""
    rng = np.random.default_rng(seed)
    return {
        "weight": rng.standard_normal(shape).astype(np.float32),
        "bias": rng.standard_normal(shape[0]).astype(np.float32),
        "mean": rng.standard_normal(shape[0]).astype(np.float32),
        "count": np.array(seed, np.int32),
    }


class Harness(ABC):
    """An adapter under test."""

    name: str
    can_be_compiled = True
    """Whether the framework's compiler can record a step; otherwise the step must refuse."""

    @abstractmethod
    def network(self, values: Arrays) -> Any:
        """Build a network with these arrays."""

    @abstractmethod
    def read(self, network: Any) -> Arrays:
        """Return the arrays of a network."""

    @abstractmethod
    def soft_update(self, target: Any, online: Any, tau: float) -> Any:
        """Return the target after one soft update."""

    @abstractmethod
    def follow(self, online: Any, update: TargetUpdate) -> Follower:
        """Return a target that follows `online`, counted in gradient steps."""

    @abstractmethod
    def narrow(self, network: Any) -> Any:
        """Return the network in bfloat16."""

    @abstractmethod
    def frozen(self, network: Any) -> Any:
        """Return the network with parameters that no optimizer updates."""


class Follower(ABC):
    """A target that follows an online network."""

    @abstractmethod
    def step(self, online: Any) -> None:
        """Report a gradient step that led to this online network."""

    @abstractmethod
    def read(self) -> Arrays:
        """Return the arrays of the target."""

    @abstractmethod
    def saved_and_restored(self, online: Any, update: TargetUpdate) -> Follower:
        """Return a new follower of `online` with this one's saved state."""

    @abstractmethod
    def compile(self) -> None:
        """Have the framework compile all further steps."""


# ---- PyTorch ----


class TorchNet(torch.nn.Module):
    def __init__(self, values: Arrays) -> None:
        super().__init__()
        for name in PARAMETERS:
            self.register_parameter(name, torch.nn.Parameter(torch.tensor(values[name])))
        for name in BUFFERS:
            self.register_buffer(name, torch.tensor(values[name]))


class Torch(Harness):
    name = "torch"

    def network(self, values: Arrays) -> Any:
        return TorchNet(values)

    def read(self, network: Any) -> Arrays:
        return {name: tensor.float().numpy().copy() for name, tensor in network.state_dict().items()}

    def soft_update(self, target: Any, online: Any, tau: float) -> Any:
        torch_adapter.soft_update(target, online, tau)
        return target

    def follow(self, online: Any, update: TargetUpdate) -> Follower:
        return TorchFollower(self, torch_adapter.Target(online, update), online)

    def narrow(self, network: Any) -> Any:
        return network.to(torch.bfloat16)

    def frozen(self, network: Any) -> Any:
        return network.requires_grad_(False)


class TorchFollower(Follower):
    def __init__(self, harness: Torch, target: torch_adapter.Target, online: Any) -> None:
        self._harness, self._target, self._online = harness, target, online
        self._step = target.step

    def step(self, online: Any) -> None:
        with torch.no_grad():  # as an optimizer does, in place
            for name, tensor in online.state_dict().items():
                self._online.state_dict()[name].copy_(tensor)
        self._step()

    def compile(self) -> None:
        self._step = torch.compile(self._target.step, backend="eager")

    def read(self) -> Arrays:
        return self._harness.read(self._target.module)

    def saved_and_restored(self, online: Any, update: TargetUpdate) -> Follower:
        restored = torch_adapter.Target(online, update)
        restored.load_state_dict(self._target.state_dict())
        return TorchFollower(self._harness, restored, online)


# ---- JAX: a dictionary, Equinox, flax.nnx ----


class JaxDict(Harness):
    name = "jax, a dictionary"

    def network(self, values: Arrays) -> Any:
        params = {name: jnp.array(values[name]) for name in PARAMETERS}
        return {"params": params, "batch_stats": {"mean": jnp.array(values["mean"])}, "n": jnp.array(values["count"])}

    def read(self, network: Any) -> Arrays:
        flat = network["params"] | network["batch_stats"] | {"count": network["n"]}
        return {name: np.array(leaf, np.float32) for name, leaf in flat.items()}

    def soft_update(self, target: Any, online: Any, tau: float) -> Any:
        return jax_adapter.soft_update(target, online, tau)

    def follow(self, online: Any, update: TargetUpdate) -> Follower:
        return JaxFollower(self, jax_adapter.target_update(update), online)

    def narrow(self, network: Any) -> Any:
        return jax.tree.map(lambda a: a.astype(jnp.bfloat16) if a.dtype == jnp.float32 else a, network)

    def frozen(self, network: Any) -> Any:
        return jax.lax.stop_gradient(network)


class JaxFollower(Follower):
    def __init__(self, harness: Harness, follow: jax_adapter.TargetTransformation, online: Any) -> None:
        self._harness, self._follow = harness, follow
        self._state, self._update = follow.init(online), jax.jit(follow.update)

    def step(self, online: Any) -> None:
        self._state = self._update(online, self._state)

    def read(self) -> Arrays:
        return self._harness.read(self._state.target)

    def saved_and_restored(self, online: Any, update: TargetUpdate) -> Follower:
        restored = type(self)(self._harness, jax_adapter.target_update(update), online)
        restored._state = jax.tree.map(jnp.array, self._state)
        return restored

    def compile(self) -> None:
        self._update = jax.jit(self._follow.update)


class EqxNet(eqx.Module):
    weight: jax.Array
    bias: jax.Array
    batch_stats: jax.Array
    count: jax.Array


class Equinox(JaxDict):
    name = "jax, equinox"

    def network(self, values: Arrays) -> Any:
        return EqxNet(*(jnp.array(values[name]) for name in ("weight", "bias", "mean", "count")))

    def read(self, network: Any) -> Arrays:
        leaves = (network.weight, network.bias, network.batch_stats, network.count)
        named = zip(("weight", "bias", "mean", "count"), leaves, strict=True)
        return {name: np.array(leaf, np.float32) for name, leaf in named}


class NnxNet(nnx.Module):
    def __init__(self, values: Arrays) -> None:
        self.weight, self.bias = nnx.Param(jnp.array(values["weight"])), nnx.Param(jnp.array(values["bias"]))
        self.mean, self.count = nnx.BatchStat(jnp.array(values["mean"])), nnx.Variable(jnp.array(values["count"]))


class Nnx(JaxDict):
    name = "jax, flax.nnx"

    def network(self, values: Arrays) -> Any:
        return NnxNet(values)

    def read(self, network: Any) -> Arrays:
        return {name: np.array(getattr(network, name)[...], np.float32) for name in (*PARAMETERS, *BUFFERS)}


# ---- Keras ----


@keras.saving.register_keras_serializable("conformance")
class KerasLayer(keras.layers.Layer):
    def __init__(self, shape: Any = (3, 4), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shape": self.shape}

    def build(self, input_shape: Any) -> None:
        rows = self.shape[:1]
        self.weight = self.add_weight(shape=self.shape, name="weight")
        self.bias = self.add_weight(shape=rows, name="bias")
        self.mean = self.add_weight(shape=rows, name="mean", trainable=False)
        self.count = self.add_weight(shape=(), dtype="int32", name="count", trainable=False, initializer="zeros")

    def call(self, x: Any) -> Any:
        return x @ keras.ops.transpose(self.weight) + self.bias


class Keras(Harness):
    name = "keras"
    can_be_compiled = False

    def network(self, values: Arrays, dtype: str = "float32") -> Any:
        layer = KerasLayer(values["weight"].shape, dtype=dtype)
        model = keras.Sequential([keras.Input((values["weight"].shape[1],)), layer])
        for name in (*PARAMETERS, *BUFFERS):
            getattr(layer, name).assign(values[name])
        return model

    def read(self, network: Any) -> Arrays:
        layer = network.layers[0]
        weights = {name: keras.ops.cast(getattr(layer, name), "float32") for name in (*PARAMETERS, *BUFFERS)}
        return {name: np.array(keras.ops.convert_to_numpy(weight)) for name, weight in weights.items()}

    def soft_update(self, target: Any, online: Any, tau: float) -> Any:
        keras_adapter.soft_update(target, online, tau)
        return target

    def follow(self, online: Any, update: TargetUpdate) -> Follower:
        return KerasFollower(self, keras_adapter.Target(online, update), online)

    def narrow(self, network: Any) -> Any:
        return self.network(self.read(network), "bfloat16")

    def frozen(self, network: Any) -> Any:
        network.trainable = False
        return network


class KerasFollower(Follower):
    def __init__(self, harness: Keras, target: keras_adapter.Target, online: Any) -> None:
        self._harness, self._target, self._online = harness, target, online
        self._step = target.step

    def step(self, online: Any) -> None:
        self._online.set_weights(online.get_weights())
        self._step()

    def compile(self) -> None:
        self._step = jax.jit(self._target.step)

    def read(self) -> Arrays:
        return self._harness.read(self._target.module)

    def saved_and_restored(self, online: Any, update: TargetUpdate) -> Follower:
        restored = keras_adapter.Target(online, update)
        restored.load_state_dict(self._target.state_dict())
        return KerasFollower(self._harness, restored, online)


ADAPTERS = (Torch(), JaxDict(), Equinox(), Nnx(), Keras())
