"""Target updates of Keras 3 models, in place, on any backend.

    soft_update(target, online, tau=0.005)           T ← c·T + (1 − c)·Q,  c = 1 − τ

    target = Target(online, TargetUpdate(tau=0.005))
    ...
    target.step()                                    after every gradient step; fires at every period-th

Trainable weights are blended, the others (BatchNorm's statistics, counters) copied. `target.trainable = False` on a
model makes all its weights non-trainable: what is blended is decided by the online model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from softstep.adapters.target_network import Following, check_parts
from softstep.target import TargetUpdate, blend


def soft_update(target: keras.Model, online: keras.Model, tau: float) -> None:
    """Move every trainable weight of `target` a share τ of the way to that of `online`: T ← c·T + τ·Q, c = 1 − τ.

    target, online: built models of one structure. tau: weight of the *new* weights, in (0, 1]; 1 copies bit for bit.
    Errors: ValueError for τ outside (0, 1], models that are not built, and structures that differ, with the first
    weight that does. Source: Lillicrap et al. 2015, algorithm 1.
    """
    TargetUpdate(tau)  # complains
    for old, new, blended in _pairs(target, online):
        old.assign(_moved(old.value, new.value, tau) if blended else keras.ops.copy(new.value))


def hard_update(target: keras.Model, online: keras.Model) -> None:
    """Make `target` a copy of `online`, bit for bit. Source: Mnih et al. 2015."""
    soft_update(target, online, 1.0)


class Target(Following):
    """A target network: a copy of `online` (`module`) that follows it as `update` says, counted in gradient steps.

    Weights narrower than float32 are followed in float32 and rounded into the copy, so that the target does not stall.
    """

    def __init__(self, online: keras.Model, update: TargetUpdate) -> None:
        super().__init__(keras.models.clone_model(online), update)
        self._online = online
        hard_update(self.module, online)
        self._wide = [_widened(old) if blended else None for old, _, blended in _pairs(self.module, online)]

    def _move(self) -> None:
        for i, (old, new, blended) in enumerate(_pairs(self.module, self._online)):
            wide = self._wide[i]
            if not blended:
                old.assign(keras.ops.copy(new.value))
            elif wide is None:
                old.assign(_moved(old.value, new.value, self.update.tau))
            else:
                self._wide[i] = _moved(wide, keras.ops.cast(new.value, "float32"), self.update.tau)
                old.assign(keras.ops.cast(self._wide[i], old.dtype))

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` goes on from, as NumPy arrays: weights, wide values, the count of gradient steps."""
        wide = [None if value is None else keras.ops.convert_to_numpy(value) for value in self._wide]
        return {"gradient_steps": self.gradient_steps, "weights": self.module.get_weights(), "wide": wide}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`. ValueError where it is none, or that of another network."""
        check_parts(state, "gradient_steps", "weights", "wide")
        own, given = (
            [tuple(weight.shape) for weight in weights] for weights in (self.module.weights, state["weights"])
        )
        if own != given:
            raise ValueError(f"the state is that of another network: weights of shapes {given} against {own}")
        if [value is None for value in state["wide"]] != [value is None for value in self._wide]:
            raise ValueError("the state is that of a network with other dtypes: make the Target as it was made then")
        self.module.set_weights(state["weights"])
        self._wide = [None if value is None else keras.ops.convert_to_tensor(value) for value in state["wide"]]
        self.gradient_steps = state["gradient_steps"]


def _moved(old: Any, new: Any, tau: float) -> Any:
    """The blend; at τ = 1 a copy of its own, for a training step may take the online network's memory for itself."""
    return blend(old, new, tau, where=keras.ops.where) if tau < 1 else keras.ops.copy(new)


def _widened(weight: Any) -> Any:
    """The weight's value in float32, where its own dtype is narrower."""
    narrow = keras.backend.standardize_dtype(weight.dtype) in ("bfloat16", "float16")
    return keras.ops.cast(weight.value, "float32") if narrow else None


def _pairs(target: keras.Model, online: keras.Model) -> list[tuple[Any, Any, bool]]:
    """The weights side by side, and whether they are blended."""
    if hasattr(online, "jax_state_sync"):
        online.jax_state_sync()  # between training steps JAX holds the weights elsewhere
    if not (target.weights and online.weights):
        raise ValueError("a model has no weights yet: build it, or call it once, before its target is updated")
    for old, new in zip(target.weights, online.weights, strict=False):
        if tuple(old.shape) != tuple(new.shape):
            raise ValueError(
                f"target and online model differ at {new.path!r}: shape {tuple(old.shape)} against {tuple(new.shape)}"
            )
    if len(target.weights) != len(online.weights):
        longer = max(target.weights, online.weights, key=len)
        extra = longer[min(len(target.weights), len(online.weights))]
        raise ValueError(f"target and online model differ: only one of them has {extra.path!r}")
    trainable = {id(weight) for weight in online.trainable_weights}
    return [(old, new, id(new) in trainable) for old, new in zip(target.weights, online.weights, strict=True)]
