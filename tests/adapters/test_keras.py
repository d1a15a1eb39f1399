"""Keras in particular: two of its backends, frozen targets, models that are not built."""

from __future__ import annotations

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from softstep.adapters.keras import Target, soft_update
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
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


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
