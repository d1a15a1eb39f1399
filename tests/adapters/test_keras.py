"""Keras in particular: its backends, frozen models, copies that answer alike, models that cannot be copied."""

from __future__ import annotations

import contextlib
import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from benchmarks import peers
from softstep.adapters.keras import Target, hard_update, soft_update
from softstep.target import TargetUpdate

LOOP = """
import keras, numpy as np
from softstep.adapters.keras import Target
from softstep.target import TargetUpdate
keras.utils.set_random_seed(0)
layers = [keras.Input((3,)), keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dense(2)]
online = keras.Sequential(layers)
online.compile("adam", "mse")
target = Target(online, TargetUpdate(0.25))
x, y = np.random.default_rng(0).normal(size=(32, 3)), np.ones((32, 2))
expected = online.get_weights()
trainable = [any(w is t for t in online.trainable_weights) for w in online.weights]
for _ in range(5):
    online.train_on_batch(x, y)
    target.step()
    new = online.get_weights()
    expected = [t + 0.25 * (q - t) if b else q for t, q, b in zip(expected, new, trainable)]
for actual, weight in zip(target.module.get_weights(), expected):
    np.testing.assert_allclose(actual, weight, rtol=1e-5, atol=1e-6)
assert np.abs(online.get_weights()[0] - target.module.get_weights()[0]).max() > 1e-4
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_model_in_training_is_followed_on_any_backend(backend: str) -> None:
    environment = os.environ | {"KERAS_BACKEND": backend}
    result = subprocess.run([sys.executable, "-c", LOOP], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_frozen_target_is_blended() -> None:
    online, target = (keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]) for _ in range(2))
    target.trainable = False
    halfway = [(t + q) / 2 for t, q in zip(target.get_weights(), online.get_weights(), strict=True)]
    soft_update(target, online, 0.5)
    for actual, expected in zip(target.get_weights(), halfway, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_a_model_that_is_not_built_raises() -> None:
    model = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="no weights yet: build it"):
        Target(model, TargetUpdate(0.1))


def test_the_state_of_another_network_raises_and_changes_nothing() -> None:
    nets = [keras.Sequential([keras.Input((2,)), keras.layers.Dense(4), keras.layers.Dense(n)]) for n in (1, 3)]
    target, other = (Target(net, TargetUpdate(0.1)) for net in nets)
    before = target.module.get_weights()
    with pytest.raises(ValueError, match="another network"):
        target.load_state_dict(other.state_dict())
    for weight, expected in zip(target.module.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.heavy
def test_with_tensorflow_the_clock_runs_in_the_graph() -> None:
    """The program runs in an environment of its own, because TensorFlow is large and Keras has one backend."""
    root, program = Path(__file__).parents[2], Path(__file__).parent / "tensorflow_clock.py"
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(root / "src")}
    command = [str(peers.python("tensorflow")), str(program)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_constant_rule_never_reads_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """In TensorFlow's graphs the count is a tensor, which no traced step can read as a number."""
    target = Target(dense(1), TargetUpdate(0.25))
    monkeypatch.setattr(Target, "gradient_steps", property(lambda _: pytest.fail("the count was read")))
    assert target._tau() == 0.25


def dense(*units: int, dtype: str = "float32") -> keras.Sequential:
    return keras.Sequential([keras.Input((3,)), *(keras.layers.Dense(n, dtype=dtype) for n in units)])


def add_one(model: keras.Model) -> None:
    for weight in model.weights:
        weight.assign(weight.value + 1)


def gaps(target: Target, online: keras.Model) -> list[float]:
    pairs = zip(target.module.get_weights(), online.get_weights(), strict=True)
    return [float(np.abs(t.astype(np.float32) - q.astype(np.float32)).max()) for t, q in pairs]


def test_a_critic_that_is_frozen_inside_an_actor_is_blended() -> None:
    critic, actor = dense(4, 1), dense(3)
    target = Target(critic, TargetUpdate(0.25))
    critic.trainable = False
    x = keras.Input((3,))
    keras.Model(x, critic(actor(x))).compile("sgd", "mse")
    add_one(critic)
    target.step()
    np.testing.assert_allclose(gaps(target, critic), 0.75, atol=1e-5)


def test_the_statistics_of_a_frozen_batch_normalization_are_copied() -> None:
    online = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
    target = Target(online, TargetUpdate(0.25))
    online.trainable = False
    add_one(online)
    target.step()
    np.testing.assert_allclose(gaps(target, online), [0.75, 0.75, 0, 0], atol=1e-6)


NORMALIZATION = """
import copy, keras, numpy as np
from softstep.adapters.keras import Target
from softstep.target import TargetUpdate
def data(seed): return np.random.default_rng(seed).normal(5 + seed, 2, (100, 3)).astype("float32")
def check():
    answers = (keras.ops.convert_to_numpy(net(data(2))) for net in (online, target))
    np.testing.assert_allclose(*answers, rtol=1e-5)
normalize = keras.layers.Normalization()
normalize.adapt(data(0))
online = keras.Sequential([keras.Input((3,)), normalize, keras.layers.Dense(2)])
target = Target(online, TargetUpdate.none())
check()
normalize.adapt(data(1))
target.step()
check()
other = keras.Sequential([keras.Input((3,)), keras.layers.Normalization(), keras.layers.Dense(2)])
restored = Target(other, TargetUpdate(0.1))
restored.load_state_dict(target.state_dict())
target = restored
check()
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_an_adapted_normalization_is_copied_before_and_after_the_target_is_made(backend: str) -> None:
    environment = os.environ | {"KERAS_BACKEND": backend}
    result = subprocess.run([sys.executable, "-c", NORMALIZATION], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


class Subclassed(keras.Model):
    """A model that Keras cannot copy: its constructor takes no keyword arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = keras.layers.Dense(4), keras.layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.out(self.hidden(x))


def subclassed() -> Subclassed:
    model = Subclassed()
    model(np.ones((1, 3)))
    return model


def dueling() -> keras.Model:
    x = keras.Input((3,))
    value, advantage = keras.layers.Dense(1)(x), keras.layers.Dense(2)(x)
    head = keras.layers.Lambda(lambda pair: pair[0] + pair[1] - keras.ops.mean(pair[1], axis=1, keepdims=True))
    return keras.Model(x, head([value, advantage]))


def test_a_dueling_head_in_a_lambda_layer_is_copied() -> None:
    online = dueling()
    target = Target(online, TargetUpdate(0.25))
    x = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_allclose(target(x), online(x), rtol=1e-6)
    add_one(online)
    target.step()
    np.testing.assert_allclose(gaps(target, online), 0.75, atol=1e-5)


def test_a_model_that_cannot_be_copied_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"cannot be copied \(TypeError: .*module=second.*soft_update"):
        Target(subclassed(), TargetUpdate(0.25))


def test_a_second_model_can_be_the_target() -> None:
    online, second = subclassed(), subclassed()
    target = Target(online, TargetUpdate(0.25), module=second)
    assert target.module is second
    assert gaps(target, online) == [0.0] * 4
    add_one(online)
    target.step()
    np.testing.assert_allclose(gaps(target, online), 0.75, atol=1e-5)


def test_a_target_that_shares_a_weight_is_refused_by_name() -> None:
    online = dense(4, 1)
    with pytest.raises(ValueError, match=r"share '.*kernel'"):
        Target(online, TargetUpdate(0.25), module=online)
    with pytest.raises(ValueError, match=r"share '.*kernel'"):
        soft_update(keras.Sequential([keras.Input((3,)), *online.layers]), online, 0.25)


@pytest.mark.parametrize("tau", [np.float32(0.25), np.float64(0.25), np.array(0.25), jnp.float32(0.25)])
def test_tau_can_be_any_number(tau: Any) -> None:
    target, online = dense(2), dense(2)
    expected = [0.75 * t + 0.25 * q for t, q in zip(target.get_weights(), online.get_weights(), strict=True)]
    soft_update(target, online, tau)
    for actual, weight in zip(target.get_weights(), expected, strict=True):
        np.testing.assert_allclose(actual, weight, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tau", [np.float32(1.5), jnp.float32(0), keras.Variable(-1.0), np.array(float("nan"))])
def test_a_number_out_of_range_raises(tau: Any) -> None:
    with pytest.raises(ValueError, match="is outside"):
        soft_update(dense(2), dense(2), tau)


SEEDS = """
import random, keras, numpy as np
from softstep.adapters.keras import Target
from softstep.target import TargetUpdate
def dense(): return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dropout(0.5)])
draws = [lambda: float(keras.random.uniform(())), random.random, np.random.random, lambda: dense().get_weights()[0]]
for draw in draws:
    drawn = []
    for with_target in (False, True):
        keras.utils.set_random_seed(0)
        online = dense()
        if with_target:
            Target(online, TargetUpdate(0.25))
        drawn.append(draw())
    np.testing.assert_array_equal(*drawn)
"""


def test_a_target_does_not_change_later_random_numbers() -> None:
    """It runs in a process of its own, because the checker of the signatures' types draws random numbers too."""
    result = subprocess.run([sys.executable, "-c", SEEDS], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_step_inside_train_step_refuses_to_be_traced_and_counts_eagerly(run_eagerly: bool) -> None:
    class Learner(keras.Sequential):
        def train_step(self, state: Any, data: Any) -> Any:
            target.step()
            return super().train_step(state, data)

    online = Learner([keras.Input((3,)), keras.layers.Dense(1)])
    target = Target(dense(1), TargetUpdate(0.25))
    online.compile("sgd", "mse", run_eagerly=run_eagerly)
    refusal = pytest.raises(RuntimeError, match="on_train_batch_end")
    with contextlib.nullcontext() if run_eagerly else refusal:
        online.fit(np.ones((4, 3)), np.ones((4, 1)), batch_size=2, verbose=0)
    assert target.gradient_steps == (2 if run_eagerly else 0)


def test_a_stateless_scope_is_refused_because_it_would_lose_the_count() -> None:
    target = Target(dense(1), TargetUpdate(0.25))
    with keras.StatelessScope(), pytest.raises(RuntimeError, match="is being traced"):
        target.step()


def test_soft_update_in_a_stateless_scope_can_be_jitted() -> None:
    target, online = dense(2), dense(2)

    def update(tau: Any) -> list[Any]:
        with keras.StatelessScope() as scope:
            soft_update(target, online, tau)
        return [scope.get_current_value(weight) for weight in target.weights]

    expected = [0.75 * t + 0.25 * q for t, q in zip(target.get_weights(), online.get_weights(), strict=True)]
    for actual, weight in zip(jax.jit(update)(0.25), expected, strict=True):
        np.testing.assert_allclose(actual, weight, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_weights_assigned_by_hand_are_continued_from(dtype: str) -> None:
    online = dense(2, dtype=dtype)
    target = Target(online, TargetUpdate(0.01))
    add_one(online)
    target.step()
    for weight in online.weights:
        weight.assign(weight.value + 8)
    hard_update(target.module, online)
    target.step()
    assert gaps(target, online) == [0.0, 0.0]


def test_a_copied_target_continues_in_float32() -> None:
    online = dense(2, dtype="bfloat16")
    target = Target(online, TargetUpdate(0.001))
    copied = copy.deepcopy(target)
    add_one(copied._online)
    for _ in range(100):
        copied.step()
    expected = 0.999**100
    np.testing.assert_allclose(gaps(copied, copied._online), expected, atol=0.02)
    assert (copied.gradient_steps, target.gradient_steps) == (100, 0)
