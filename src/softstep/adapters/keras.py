"""Target updates of Keras 3 models, in place, on any backend.

    soft_update(target, online, tau=0.005)           T ← c·T + (1 − c)·Q,  c = 1 − τ

    target = Target(online, TargetUpdate(tau=0.005))
    ...
    target.step()                                    after every gradient step; updates at every period-th

Trainable weights are blended; the others (BatchNorm's statistics, counters) are copied. The online model decides which
weights are trainable, because `trainable = False` on the target makes all its weights non-trainable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from softstep.adapters.target_network import TargetNetwork, check_state_keys
from softstep.target import TargetUpdate, blend


def soft_update(target: keras.Model, online: keras.Model, tau: float) -> None:
    """Move every trainable weight of `target` a fraction τ of the way to that of `online`: T ← c·T + τ·Q, c = 1 − τ.

    `target` and `online` are built models of the same structure. `tau` is the weight of the *new* parameters, in
    (0, 1]; 1 copies bit for bit. Source: Lillicrap et al. 2015, algorithm 1.
    Raises ValueError if τ is outside (0, 1], a model is not built, or the structures differ, naming the first weight
    that differs.
    """
    TargetUpdate(tau)  # raises ValueError if tau is out of range
    for old, new, is_blended in _pairs(target, online):
        old.assign(_blended(old.value, new.value, tau) if is_blended else keras.ops.copy(new.value))


def hard_update(target: keras.Model, online: keras.Model) -> None:
    """Make `target` a copy of `online`, bit for bit. Source: Mnih et al. 2015."""
    soft_update(target, online, 1.0)


class Target(TargetNetwork):
    """A target network: a copy of `online` (`module`) that follows it by the rule `update`, counted in gradient steps.

    Weights narrower than float32 are kept in float32 as well and rounded into the copy, so that the target does not
    stall.
    """

    def __init__(self, online: keras.Model, update: TargetUpdate) -> None:
        super().__init__(keras.models.clone_model(online), update)
        self._online = online
        hard_update(self.module, online)
        pairs = _pairs(self.module, online)
        self._wide = [_widened(old) if is_blended else None for old, _, is_blended in pairs]

    def _update_module(self) -> None:
        for i, (old, new, is_blended) in enumerate(_pairs(self.module, self._online)):
            wide = self._wide[i]
            if not is_blended:
                old.assign(keras.ops.copy(new.value))
            elif wide is None:
                old.assign(_blended(old.value, new.value, self.update.tau))
            else:
                self._wide[i] = _blended(wide, keras.ops.cast(new.value, "float32"), self.update.tau)
                old.assign(keras.ops.cast(self._wide[i], old.dtype))

    def state_dict(self) -> dict[str, Any]:
        """Return the weights, the float32 values and the count of gradient steps, as NumPy arrays."""
        wide = [None if value is None else keras.ops.convert_to_numpy(value) for value in self._wide]
        return {"gradient_steps": self.gradient_steps, "weights": self.module.get_weights(), "wide": wide}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a `state_dict`. Raises ValueError if it is not one, or belongs to another network."""
        check_state_keys(state, "gradient_steps", "weights", "wide")
        own_shapes, state_shapes = (
            [tuple(weight.shape) for weight in weights] for weights in (self.module.weights, state["weights"])
        )
        if own_shapes != state_shapes:
            raise ValueError(
                f"the state belongs to another network: weights of shapes {state_shapes}, not {own_shapes}"
            )
        if [value is None for value in state["wide"]] != [value is None for value in self._wide]:
            raise ValueError("the state belongs to a network with other dtypes: create the Target with the same dtypes")
        self.module.set_weights(state["weights"])
        self._wide = [None if value is None else keras.ops.convert_to_tensor(value) for value in state["wide"]]
        self.gradient_steps = state["gradient_steps"]


def _blended(old: Any, new: Any, tau: float) -> Any:
    """Return the blend; at τ = 1 a separate copy, because a training step may reuse the online network's memory."""
    return blend(old, new, tau, where=keras.ops.where) if tau < 1 else keras.ops.copy(new)


def _widened(weight: Any) -> Any:
    """Return the weight's value in float32 if its own dtype is narrower, otherwise None."""
    narrow = keras.backend.standardize_dtype(weight.dtype) in ("bfloat16", "float16")
    return keras.ops.cast(weight.value, "float32") if narrow else None


def _pairs(target: keras.Model, online: keras.Model) -> list[tuple[Any, Any, bool]]:
    """Return the weights in pairs (target's, online's), and whether each is blended."""
    if hasattr(online, "jax_state_sync"):
        online.jax_state_sync()  # between training steps the JAX backend holds the weights elsewhere
    if not (target.weights and online.weights):
        raise ValueError("a model has no weights yet: build it or call it once before updating its target")
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
