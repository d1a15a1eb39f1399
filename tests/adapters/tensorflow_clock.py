"""The clock of `Target` in TensorFlow's graphs; exits with an error if a check fails.

It runs in the environment of benchmarks/peers/tensorflow.txt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from softstep.adapters.keras import Target, soft_update
from softstep.target import TargetUpdate

STEPS = 20
RULES = [
    TargetUpdate(0.5), TargetUpdate(0.5, 4), TargetUpdate.hard(5), TargetUpdate.hard(1), TargetUpdate(0.001, 2),
    TargetUpdate.harmonic(0.5, 0.5, 2), TargetUpdate.harmonic(0.5, 0.5, 2, 3),
]  # fmt: skip
"""The harmonic rules have τ = 0.5 until step 8, then 4/t: neither the first τ nor the last gives their sum."""


def model(dtype: str = "float32") -> keras.Model:
    layers = [keras.layers.Dense(2, dtype=dtype), keras.layers.BatchNormalization(dtype=dtype)]
    return keras.Sequential([keras.Input((4,)), *layers])


def expected_move(update: TargetUpdate) -> float:
    """Return how far the target of a weight that grows by 1 at every step has moved from its start."""
    moved = 0.0
    for step in range(1, STEPS + 1):
        if step % update.period == 0:
            moved += update.tau_at(step) * (step - moved)
    return moved


def move(before: list[np.ndarray], target: Target) -> list[float]:
    return [float(np.mean(a.astype(np.float32) - b)) for a, b in zip(target.module.get_weights(), before, strict=True)]


def check(target: Target, before: list[np.ndarray], tolerance: float) -> None:
    assert target.gradient_steps == STEPS, target.gradient_steps
    update = target.update
    is_learned = [True, True, True, True, False, False]
    last_update = STEPS - STEPS % update.period
    for actual, learned in zip(move(before, target), is_learned, strict=True):
        expected = expected_move(update) if learned else last_update
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def check_function(update: TargetUpdate, compiler: Callable[[Any], Any], dtype: str) -> None:
    online = model(dtype)
    for weight in online.weights:
        weight.assign(tf.zeros_like(weight.value))
    target = Target(online, update)
    before = target.module.get_weights()

    @compiler
    def learn() -> None:
        for weight in online.weights:
            weight.assign(weight.value + tf.ones((), weight.dtype))
        target.step()

    for _ in range(STEPS):
        learn()
    check(target, before, 1e-5 if dtype == "float32" else 0.01)
    state = target.state_dict()
    restored = Target(online, update)
    restored.load_state_dict(state)
    assert restored.gradient_steps == STEPS


def check_fit(update: TargetUpdate, **options: Any) -> None:
    """Count in a `train_step` under `fit`."""

    class Learner(keras.Sequential):
        def train_step(self, data: Any) -> Any:
            for weight in online.weights:
                weight.assign(weight.value + 1)
            target.step()
            return super().train_step(data)

    online = model()
    target = Target(online, update)
    before = target.module.get_weights()
    learner = Learner([keras.Input((4,)), keras.layers.Dense(1)])
    learner.compile("sgd", "mse", **options)
    learner.fit(np.ones((STEPS, 4)), np.ones((STEPS, 1)), batch_size=1, verbose=0)
    check(target, before, 1e-4)


def check_float32_values() -> None:
    """At τ = .001 a bfloat16 target that is traced reaches its network, although blending in bfloat16 would stall."""
    for compiler in (tf.function, tf.function(jit_compile=True)):
        online = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, dtype="bfloat16")])
        target = Target(online, TargetUpdate(0.001))
        start = target.module.get_weights()[0].astype(np.float32)
        for weight in online.weights:
            weight.assign(weight.value + 1)
        step = compiler(target.step)
        for _ in range(3000):
            step()
        moved = target.module.get_weights()[0].astype(np.float32) - start
        np.testing.assert_allclose(moved, 1 - 0.999**3000, atol=0.02)


def check_tau() -> None:
    """τ may be a variable or a tensor, eager or traced, and its new values are used by a traced function."""
    for trace in (lambda function: function, tf.function):
        for tau in (tf.Variable(0.1), keras.Variable(0.1), tf.constant(0.1), np.float32(0.1)):
            target, online = model(), model()
            for net, value in ((target, 0.0), (online, 1.0)):
                for weight in net.weights:
                    weight.assign(tf.fill(weight.shape, value))
            update = trace(lambda tau=tau, target=target, online=online: soft_update(target, online, tau))
            update()
            np.testing.assert_allclose(target.get_weights()[0], 0.1, rtol=1e-6)
            if isinstance(tau, tf.Variable):
                tau.assign(1.0)
                update()
                np.testing.assert_array_equal(target.get_weights()[0], online.get_weights()[0])


def check_normalization() -> None:
    data = np.random.default_rng(0).normal(5, 2, (100, 3)).astype("float32")
    normalize = keras.layers.Normalization()
    normalize.adapt(data)
    online = keras.Sequential([keras.Input((3,)), normalize, keras.layers.Dense(2)])
    target = Target(online, TargetUpdate.hard(2))
    np.testing.assert_allclose(target(data), online(data), rtol=1e-5)
    step = tf.function(target.step)
    step()
    normalize.adapt(2 * data)
    target.step()
    np.testing.assert_allclose(target(data), online(data), rtol=1e-5)


def check_mirrored(update: TargetUpdate, dtype: str, *, in_replicas: bool) -> None:
    """Count in the graph of a strategy with two replicas, called once per replica or outside of them."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        online = model(dtype)
        target = Target(online, update)
    before = target.module.get_weights()

    def learn_in_replica() -> None:
        for weight in online.weights:
            weight.assign(weight.value + tf.ones((), weight.dtype))
        if in_replicas:
            target.step()

    @tf.function
    def learn() -> None:
        strategy.run(learn_in_replica)
        if not in_replicas:
            target.step()

    with strategy.scope():
        for _ in range(STEPS):
            learn()
    check(target, before, 1e-5 if dtype == "float32" else 0.01)


def main() -> None:
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    for update in RULES:
        for dtype in ("float32", "bfloat16"):
            for in_replicas in (False, True):
                check_mirrored(update, dtype, in_replicas=in_replicas)
    compilers: list[Callable[[Any], Any]] = [lambda function: function, tf.function, tf.function(jit_compile=True)]
    for update in RULES:
        for compiler in compilers:
            for dtype in ("float32", "bfloat16"):
                check_function(update, compiler, dtype)
        for options in ({}, {"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 5}):
            check_fit(update, **options)
    check_float32_values()
    check_tau()
    check_normalization()


main()
