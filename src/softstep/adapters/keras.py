"""Target updates of Keras 3 models, in place, on any backend.

    soft_update(target, online, tau=0.005)           T ← c·T + (1 − c)·Q,  c = 1 − τ

    target = Target(online, TargetUpdate(tau=0.005))
    ...
    target.step()                                    after every gradient step; updates at every period-th

Weights that the online model's layers created as trainable are blended; the others (BatchNorm's statistics, counters)
are copied. `trainable = False`, on either model, makes no difference.

With TensorFlow both may be called inside `tf.function`, a `train_step` or XLA: gradient steps are counted in the graph.
With JAX a traced function cannot assign to variables, and being traced raises RuntimeError.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from softstep.adapters.functions import global_variables, may_hold_functions, reaches
from softstep.adapters.target_network import TargetNetwork, check_state_keys
from softstep.extras import required_by
from softstep.random_streams import random_streams_restored
from softstep.target import TargetUpdate, blend, scheduled_tau

with required_by("softstep.adapters.keras"):
    import keras
    from keras.src.backend import in_stateless_scope
    from keras.src.models.functional import Functional

ROUNDING = {"bfloat16": (2.0**-8, 2.0**-126), "float16": (2.0**-11, 2.0**-14)}
"""Unit roundoff and smallest normal number of each dtype narrower than float32."""


def soft_update(target: keras.Model, online: keras.Model, tau: Any) -> None:
    """Move every learned weight of `target` a fraction τ of the way to that of `online`: T ← c·T + τ·Q, c = 1 − τ.

    Source: Lillicrap et al. 2015, algorithm 1.

    Args:
        target: built model of the same structure as `online`, with weights of its own.
        online: built model. Its layers decide which weights are learned.
        tau: weight of the *new* parameters in (0, 1]: a number, or a scalar tensor or variable of the backend. 1
            copies bit for bit. The range of a traced τ is not checked.

    Raises:
        ValueError: τ is outside (0, 1], a model is not built, the models share a weight, or their structures differ;
            it names the first such weight.
        RuntimeError: the call is traced by JAX outside of a `keras.StatelessScope`.
    """
    tau = _checked_tau(tau)
    if not in_stateless_scope():
        _refuse_jax_tracing("soft_update")
    for old, new, is_blended in _pairs(target, online):
        old.assign(_blended(old.value, new.value, tau) if is_blended else keras.ops.copy(new.value))
    _copy_normalization(target, online)


def hard_update(target: keras.Model, online: keras.Model) -> None:
    """Make `target` a copy of `online`, bit for bit. Source: Mnih et al. 2015."""
    soft_update(target, online, 1.0)


class Target(TargetNetwork):
    """A target network: a copy of `online` (`module`) that follows it by the rule `update`, counted in gradient steps.

    Weights narrower than float32 are kept in float32 as well and rounded into the copy, so that the target does not
    stall. If the copy's weights are assigned by hand, the float32 values follow.
    A schedule may replace `update` between steps; a `tf.function` keeps the rule it was traced with.
    """

    def __init__(self, online: keras.Model, update: TargetUpdate, module: keras.Model | None = None) -> None:
        """Copy `online`.

        Args:
            online: built model to follow.
            update: rule of the target.
            module: a second model of the same structure, to be the target instead of an automatic copy. Its weights
                are overwritten.

        Raises:
            ValueError: `online` is not built or cannot be copied; `module` shares a weight with it or has another
                structure; or a function in the target refers to a layer of `online`.
        """
        _check_built(online)
        self._count: Any = 0
        if keras.backend.backend() == "tensorflow":  # a traced step changes variables, but not Python's numbers
            self._count = keras.Variable(0, dtype="int", trainable=False, name="gradient_steps")
        super().__init__(_copied(online) if module is None else module, update)
        self._online = online
        hard_update(self.module, online)
        _check_answers_are_own(self.module, online)
        pairs = _pairs(self.module, online)
        self._wide = [_widened(old) if is_blended else None for old, _, is_blended in pairs]

    @property
    def gradient_steps(self) -> int:
        """Gradient steps counted so far."""
        return self._count if isinstance(self._count, int) else int(keras.ops.convert_to_numpy(self._count.value))

    @gradient_steps.setter
    def gradient_steps(self, count: int) -> None:
        if isinstance(self._count, int):
            self._count = int(count)
        else:
            self._count.assign(count)

    def step(self) -> None:
        """Count a gradient step, and update the target at every `update.period`-th of them.

        Raises RuntimeError if it is traced by JAX or called in a `keras.StatelessScope`, as in a `train_step` under
        `fit` with the JAX backend, and the errors of `soft_update`.
        """
        if in_stateless_scope():
            _refuse_tracing("Target.step")
        _refuse_jax_tracing("Target.step")
        if isinstance(self._count, int):
            super().step()
            return
        self._count.assign(self._count.value + 1)
        is_due = self._count.value % self.update.period == 0
        if not _is_traced():
            if bool(is_due):
                self._update_module()
        elif self.update.period == 1:
            self._update_module()
        else:
            keras.ops.cond(is_due, self._updated, lambda: keras.ops.convert_to_tensor(False))

    def _updated(self) -> Any:
        self._update_module()
        return keras.ops.convert_to_tensor(True)

    def _update_module(self) -> None:
        tau = self._tau()
        for (old, new, is_blended), wide in zip(_pairs(self.module, self._online), self._wide, strict=True):
            if not is_blended:
                old.assign(keras.ops.copy(new.value))
            elif wide is None:
                old.assign(_blended(old.value, new.value, tau))
            else:
                wide.assign(_blended(_current(wide, old), keras.ops.cast(new.value, "float32"), tau))
                old.assign(keras.ops.cast(wide.value, old.dtype))
        _copy_normalization(self.module, self._online)

    def _tau(self) -> Any:
        """Return τ at the gradient step that is counted: a tensor if a harmonic target's step is traced."""
        update = self.update
        if update.schedule == "constant":
            return update.tau  # without the count, which a traced step cannot read as a number
        if not _is_traced():
            return update.tau_at(self.gradient_steps)
        step = keras.ops.cast(self._count.value, "float32")
        return scheduled_tau(update.tau, update.harmonic_steps, step, minimum=keras.ops.minimum)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights, the float32 values and the count of gradient steps, as NumPy arrays."""
        wide = [None if value is None else keras.ops.convert_to_numpy(value.value) for value in self._wide]
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
        for layer in _normalizations(self.module):
            layer.finalize_state()
        for wide, value in zip(self._wide, state["wide"], strict=True):
            if wide is not None:
                wide.assign(value)
        self.gradient_steps = state["gradient_steps"]


def _checked_tau(tau: Any) -> Any:
    """Return τ as a Python number, or as a tensor if it is traced. Raises ValueError if its value is out of range."""
    if not hasattr(tau, "shape"):
        TargetUpdate(tau)  # raises ValueError
        return tau
    if not isinstance(tau, (np.generic, np.ndarray)) and _is_traced():
        return keras.ops.convert_to_tensor(tau)
    number = keras.ops.convert_to_numpy(tau)
    if number.ndim:
        raise ValueError(f"tau has shape {number.shape}: pass a number or a scalar")
    TargetUpdate(number.item())  # raises ValueError
    return number.item()


def _is_traced() -> bool:
    """Return whether operations are being recorded by JAX or TensorFlow instead of executed."""
    backend = keras.backend.backend()
    if backend == "jax":
        jax = sys.modules["jax"]
        return isinstance(jax.lax.full((), 0), jax.core.Tracer)
    return backend == "tensorflow" and not sys.modules["tensorflow"].executing_eagerly()


def _refuse_jax_tracing(name: str) -> None:
    if keras.backend.backend() == "jax" and _is_traced():
        _refuse_tracing(name)


def _refuse_tracing(name: str) -> None:
    raise RuntimeError(
        f"{name} is being traced, and a traced function cannot assign to variables on the {keras.backend.backend()}"
        " backend: call it after the compiled training step (under fit, in a callback's on_train_batch_end)"
    )


def _blended(old: Any, new: Any, tau: Any) -> Any:
    """Return the blend; at τ = 1 a separate copy, because a training step may reuse the online network's memory."""
    if isinstance(tau, (int, float)):
        return blend(old, new, tau, where=keras.ops.where) if tau < 1 else keras.ops.copy(new)
    return blend(old, new, keras.ops.cast(tau, old.dtype), where=keras.ops.where)


def _widened(weight: Any) -> Any:
    """Return a float32 variable with the weight's value if its own dtype is narrower, otherwise None."""
    if keras.backend.standardize_dtype(weight.dtype) not in ROUNDING:
        return None
    value = keras.ops.cast(weight.value, "float32")
    return keras.Variable(value, dtype="float32", trainable=False, autocast=False, name="wide")


def _current(wide: Any, weight: Any) -> Any:
    """Return the float32 value of a narrow weight: `wide`, except where `weight` no longer is its rounding.

    The weight then was assigned by hand. The comparison has a tolerance of half a unit in the last place rather than
    rounding `wide`, because XLA may skip a rounding that is undone at once.
    """
    roundoff, smallest = ROUNDING[keras.backend.standardize_dtype(weight.dtype)]
    value = keras.ops.cast(weight.value, "float32")
    is_rounding = keras.ops.abs(value - wide.value) <= roundoff * keras.ops.abs(wide.value) + smallest
    return keras.ops.where(is_rounding, wide.value, value)


def _copied(online: keras.Model) -> keras.Model:
    """Return a second model with the structure of `online`. Raises ValueError if Keras cannot make one."""
    failures = []
    with random_streams_restored():
        for copy_model in (keras.models.clone_model, _clone_with_lambdas, copy.deepcopy):
            try:
                module = copy_model(online)
            except Exception as error:  # whatever a layer's own from_config or call raises
                failures.append(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:100]}")
                continue
            if [weight.shape for weight in module.weights] == [weight.shape for weight in online.weights]:
                return module
            failures.append("its copy has other weights")
    raise ValueError(
        f"model {online.name!r} cannot be copied ({failures[0]}): build a second one as you built the first, and pass"
        " it as Target(online, update, module=second), or use soft_update(second, online, tau)"
    )


def _clone_with_lambdas(model: keras.Model) -> keras.Model:
    """Clone a model, including Lambda layers, whose functions `clone_model` does not copy.

    Raises ValueError if such a function uses a layer, because the clone would then share the layer.
    """

    def clone_layer(layer: Any) -> Any:
        if isinstance(layer, keras.layers.Lambda):
            own_kinds = (keras.layers.Layer, keras.Variable)
            used = global_variables(layer.function, own_kinds) | dict(inspect.getclosurevars(layer.function).nonlocals)
            for name, value in used.items():
                if isinstance(value, own_kinds):
                    raise ValueError(f"the function of layer {layer.name!r} uses {name!r}")
            return keras.layers.Lambda(
                layer.function,
                output_shape=layer._output_shape,
                mask=layer.mask,
                arguments=layer.arguments,
                name=layer.name,
                dtype=layer.dtype_policy,
            )
        if isinstance(layer, (keras.Sequential, Functional)):
            return keras.models.clone_model(layer, clone_function=clone_layer)
        return layer.__class__.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=clone_layer)


def _check_answers_are_own(target: keras.Model, online: keras.Model) -> None:
    """Raise ValueError if a function that a layer of the target holds or calls refers to the online model.

    A layer's configuration hands the same functions to its copy. If one closes over an online layer, the copy answers
    with the online model's weights.
    """
    kinds = (keras.layers.Layer, keras.Variable)
    foreign = {id(part) for part in (*online._flatten_layers(), *online.weights)}
    foreign -= {id(layer) for layer in online._flatten_layers() if not layer.weights}

    def is_foreign(value: Any) -> bool:
        parts = value._flatten_layers() if isinstance(value, keras.layers.Layer) else [value]
        return any(id(part) in foreign for part in parts)

    visited: set[int] = set()
    for layer in target._flatten_layers():
        held = {name: value for name, value in vars(layer).items() if may_hold_functions(value)}
        for name, function in {"call": type(layer).call, **held}.items():
            if reaches(function, kinds, is_foreign, visited):
                raise ValueError(
                    f"{name!r} of the target's layer {layer.name!r} refers to the online model and answers with its"
                    " weights: build a second model with functions of its own, and pass it as Target(online, update,"
                    " module=second)"
                )


def _normalizations(model: keras.Model) -> list[Any]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Normalization)]


def _copy_normalization(target: keras.Model, online: keras.Model) -> None:
    """Copy the constants that Normalization layers derive from their weights, which assigning the weights leaves."""
    for old, new in zip(_normalizations(target), _normalizations(online), strict=True):
        if old.compute_dtype == new.compute_dtype:
            old.mean, old.variance = new.mean, new.variance
        else:
            old.finalize_state()


def _check_built(*models: keras.Model) -> None:
    if not all(model.weights for model in models):
        raise ValueError("a model has no weights yet: build it or call it once before updating its target")


def _learned(model: keras.Model) -> set[int]:
    """Return the ids of the weights that the layers created as trainable.

    `model.trainable_weights` would not do: it is empty for a model that is frozen inside another one.
    """
    return {id(weight) for layer in model._flatten_layers() for weight in layer._trainable_variables}


def _pairs(target: keras.Model, online: keras.Model) -> list[tuple[Any, Any, bool]]:
    """Return the weights in pairs (target's, online's), and whether each is blended."""
    if hasattr(online, "jax_state_sync"):
        online.jax_state_sync()  # between training steps the JAX backend holds the weights elsewhere
    _check_built(target, online)
    for old, new in zip(target.weights, online.weights, strict=False):
        if old is new:
            raise ValueError(f"target and online model share {new.path!r}: give the target layers of its own")
        if tuple(old.shape) != tuple(new.shape):
            raise ValueError(
                f"target and online model differ at {new.path!r}: shape {tuple(old.shape)} against {tuple(new.shape)}"
            )
    if len(target.weights) != len(online.weights):
        longer = max(target.weights, online.weights, key=len)
        extra = longer[min(len(target.weights), len(online.weights))]
        raise ValueError(f"target and online model differ: only one of them has {extra.path!r}")
    learned = _learned(online)
    return [(old, new, id(new) in learned) for old, new in zip(target.weights, online.weights, strict=True)]
