"""JAX in particular: traced τ, transformations, donation, sharding, dtypes, keys, functions as leaves."""

from __future__ import annotations

import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softstep.adapters.jax import hard_update, soft_update, target_update
from softstep.target import TargetUpdate

ONLINE = {"w": jnp.arange(6.0).reshape(2, 3), "b": jnp.ones(2)}
TARGET = jax.tree.map(lambda a: a * 0 - 1, ONLINE)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-4, 1.0))
def test_soft_update_agrees_with_optax_incremental_update(tau: float) -> None:
    updated, expected = soft_update(TARGET, ONLINE, tau), optax.incremental_update(ONLINE, TARGET, tau)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), updated, expected)


def test_tau_can_be_traced_and_vmapped() -> None:
    taus = jnp.array([0.1, 0.5, 1.0])
    mapped = jax.jit(jax.vmap(lambda tau: soft_update(TARGET, ONLINE, tau)))(taus)
    for i, tau in enumerate(taus.tolist()):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-6), mapped, soft_update(TARGET, ONLINE, tau)
        )
    np.testing.assert_array_equal(mapped["w"][2], ONLINE["w"])


def test_a_tau_argument_replaces_the_rules_own() -> None:
    follow = target_update(TargetUpdate(0.5))
    state = follow.init(jax.tree.map(jnp.zeros_like, ONLINE))
    state = jax.jit(follow.update)(ONLINE, state, jnp.float32(0.25))
    np.testing.assert_allclose(state.target["b"], 0.25)


def test_the_state_can_be_donated() -> None:
    follow = target_update(TargetUpdate(0.5, 2))
    state = follow.init(ONLINE)
    step = jax.jit(follow.update, donate_argnums=1)
    for _ in range(4):
        state = step(ONLINE, state)
    assert int(state.gradient_steps) == 4
    jax.tree.map(np.testing.assert_array_equal, state.target, ONLINE)


def test_the_target_starts_in_buffers_of_its_own() -> None:
    state = target_update(TargetUpdate(0.5)).init(ONLINE)
    assert state.target["w"].unsafe_buffer_pointer() != ONLINE["w"].unsafe_buffer_pointer()


SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from softstep.adapters.jax import target_update
from softstep.target import TargetUpdate
mesh = jax.make_mesh((2,), ("x",))
split = NamedSharding(mesh, PartitionSpec("x"))
online = jax.device_put({"w": jnp.arange(8.0)}, split)
follow = target_update(TargetUpdate(0.25))
state = follow.init(jax.device_put({"w": jnp.zeros(8)}, split))
state = jax.jit(follow.update)(online, state)
assert state.target["w"].sharding.is_equivalent_to(split, 1), state.target["w"].sharding
np.testing.assert_allclose(state.target["w"], np.arange(8) / 4)
"""


def test_sharded_arrays_stay_sharded() -> None:
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    result = subprocess.run([sys.executable, "-c", SHARDED], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_an_equinox_mlp_keeps_its_functions_and_can_be_called() -> None:
    target, online = (eqx.nn.MLP(3, 2, 4, 1, key=jax.random.key(i)) for i in range(2))
    updated = soft_update(target, online, 0.5)
    assert updated.activation is target.activation
    halfway = (target.layers[0].weight + online.layers[0].weight) / 2
    np.testing.assert_allclose(updated.layers[0].weight, halfway, rtol=1e-6, atol=1e-7)
    assert updated(jnp.ones(3)).shape == (2,)


def test_keys_and_integers_are_copied() -> None:
    old = {"key": jax.random.key(0), "n": jnp.int32(1), "w": jnp.zeros(2)}
    new = {"key": jax.random.key(1), "n": jnp.int32(5), "w": jnp.ones(2)}
    updated = soft_update(old, new, 0.5)
    assert jnp.all(jax.random.key_data(updated["key"]) == jax.random.key_data(new["key"]))
    assert updated["n"] == 5
    follow = target_update(TargetUpdate(0.5, 2))
    state = jax.jit(follow.update)(new, follow.init(old))
    assert state.target["n"] == 1
    state = jax.jit(follow.update)(new, state)
    assert state.target["n"] == 5


def test_leaves_can_be_selected_for_copying() -> None:
    updated = soft_update(TARGET, ONLINE, 0.5, copied=lambda path: path == "['b']")
    np.testing.assert_array_equal(updated["b"], ONLINE["b"])
    np.testing.assert_allclose(updated["w"], (TARGET["w"] + ONLINE["w"]) / 2)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"w": jnp.ones((2, 3)), "b": jnp.ones(3)}, r"\['b'\]: shape \(3,\) against \(2,\)"),
        ({"w": jnp.ones((2, 3))}, r"\['w'\] against \['b'\]|only one of them has"),
        ({"w": jnp.ones((2, 3)), "b": jnp.ones(2), "z": jnp.ones(1)}, r"only one of them has \['z'\]"),
    ],
)
def test_the_error_names_the_first_leaf_that_differs(target: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hard_update(target, ONLINE)


def test_the_update_is_compiled_once() -> None:
    follow = target_update(TargetUpdate(0.5))
    step = jax.jit(follow.update)
    state = follow.init(ONLINE)
    for _ in range(3):
        state = step(ONLINE, state)
    assert step._cache_size() == 1
