"""A Keras target answers with weights of its own, whatever functions its layers hold."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from softstep.adapters.keras import Target
from softstep.target import TargetUpdate


class Applies(keras.layers.Layer):
    """A layer that applies a function, which its configuration hands to copies."""

    def __init__(self, function: Any, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.function = function

    def call(self, x: Any) -> Any:
        function = next(iter(self.function.values())) if isinstance(self.function, dict) else self.function
        return (function[0] if isinstance(function, (list, tuple)) else function)(x)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"function": self.function}


def with_function(make: Callable[[keras.layers.Layer], Any]) -> keras.Model:
    """Return a model with a layer that applies a function made from another layer of the model."""
    x = keras.Input((3,))
    shared = keras.layers.Dense(3)
    hidden = shared(x)
    return keras.Model(x, keras.layers.Dense(2)(Applies(make(shared))(hidden)))


def with_a_default(layer: keras.layers.Layer) -> Any:
    def function(x: Any, layers: Any = (layer,)) -> Any:
        return layers[0](x)

    return function


def applies_weights(layer: keras.layers.Layer) -> Any:
    kernel = layer.kernel
    return lambda x: x @ kernel


@pytest.mark.parametrize(
    "make",
    [
        lambda layer: lambda x: layer(x),
        lambda layer: layer.call,
        lambda layer: functools.partial(lambda layer, x: layer(x), layer),
        lambda layer: [lambda x: layer(x)],
        lambda layer: {"f": lambda x: layer(x)},
        with_a_default,
        applies_weights,
    ],
)
def test_a_copy_that_would_answer_with_the_online_weights_raises(make: Callable[[keras.layers.Layer], Any]) -> None:
    online = with_function(make)
    with pytest.raises(ValueError, match=r"'function' of the target's layer 'applies.*' refers to the online model"):
        Target(online, TargetUpdate(0.25))
    assert Target(online, TargetUpdate(0.25), module=with_function(make)).gradient_steps == 0  # with its own functions


def test_functions_of_layers_without_weights_are_no_reason_to_refuse() -> None:
    activation = keras.layers.ReLU()
    x = keras.Input((3,))
    hidden = activation(keras.layers.Dense(3)(x))
    online = keras.Model(x, keras.layers.Dense(2)(Applies(lambda x: activation(x))(hidden)))
    target = Target(online, TargetUpdate(0.25))
    for weight in online.weights:
        weight.assign(weight.value + 1)
    target.step()
    for old, new in zip(target.module.get_weights(), online.get_weights(), strict=True):
        np.testing.assert_allclose(new - old, 0.75, atol=1e-5)
