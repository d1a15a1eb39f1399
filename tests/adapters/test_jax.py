"""JAX in particular: traced τ, transformations, donation, sharding, dtypes, keys, functions as leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
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


@pytest.mark.parametrize("update", [TargetUpdate(0.5), TargetUpdate.harmonic(0.5, 0.5)], ids=lambda u: u.schedule)
def test_a_rule_is_followed_under_strict_promotion_of_dtypes(update: TargetUpdate) -> None:
    follow = target_update(update)
    with jax.numpy_dtype_promotion("strict"):
        state = jax.jit(follow.update)(ONLINE, follow.init(jax.tree.map(jnp.zeros_like, ONLINE)))
    np.testing.assert_allclose(state.target["b"], 0.5)


@pytest.mark.parametrize("update", [TargetUpdate(0.5), TargetUpdate.harmonic(0.5, 0.5)], ids=lambda u: u.schedule)
def test_a_tau_argument_replaces_the_rules_own(update: TargetUpdate) -> None:
    follow = target_update(update)
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


@pytest.mark.parametrize("tau", [0.25, 1.0])
def test_the_target_survives_the_donation_of_the_online_network(tau: float) -> None:
    train = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf + 1, tree), donate_argnums=0)
    online = {"w": jnp.zeros(2), "batch_stats": {"mean": jnp.zeros(2)}, "n": jnp.int32(0)}
    target = jax.tree.map(jnp.copy, online)
    online = train(online)
    target = soft_update(target, online, tau)
    train(online)
    np.testing.assert_allclose(target["w"], tau)
    np.testing.assert_array_equal(target["batch_stats"]["mean"], 1)
    assert target["n"] == 1


@pytest.mark.parametrize("number", [float, np.float32, np.float64, jnp.float32, np.array])
def test_a_learned_number_is_blended_eagerly_and_under_jit(number: Callable[[float], Any]) -> None:
    old, new = {"w": jnp.zeros(2), "log_alpha": number(0.0)}, {"w": jnp.ones(2), "log_alpha": number(1.0)}
    for update in (soft_update, jax.jit(soft_update, static_argnums=2)):
        assert update(old, new, 0.25)["log_alpha"] == 0.25


@pytest.mark.parametrize("jit", [lambda function: function, jax.jit], ids=["eager", "jit"])
def test_a_python_number_that_the_optimizer_turns_into_an_array_is_followed(jit: Callable[[Any], Any]) -> None:
    online = {"w": jnp.zeros(2), "log_alpha": 0.0}
    follow = target_update(TargetUpdate(0.25))
    state = follow.init(online)
    online = optax.apply_updates(online, {"w": jnp.ones(2), "log_alpha": jnp.ones(())})
    state = jit(follow.update)(online, state)
    assert state.target["log_alpha"] == 0.25


def test_sizes_and_flags_of_a_module_stay_python_values() -> None:
    target, online = (eqx.nn.Dropout(0.5, inference=inference) for inference in (True, False))
    updated = soft_update(target, online, 0.25)
    assert (updated.p, updated.inference) == (0.5, True)
    assert type(updated.p) is float
    state = target_update(TargetUpdate(0.25)).init({"size": 3, "flag": False, "w": jnp.ones(1)})
    state = target_update(TargetUpdate(0.25)).update({"size": 3, "flag": True, "w": jnp.ones(1)}, state)
    assert state.target["size"] == 3
    assert state.target["flag"] is False


def test_a_python_integer_is_copied() -> None:
    assert soft_update({"n": 1}, {"n": 5}, 0.25) == {"n": 5}


def haiku_average(value: float) -> dict[str, Any]:
    leaves = {"hidden": jnp.full(2, value), "average": jnp.full(2, value), "counter": jnp.int32(value)}
    return {"net/~/batch_norm/~/mean_ema": leaves}


def equinox_state(value: float) -> eqx.nn.State:
    _, state = eqx.nn.make_with_state(eqx.nn.BatchNorm)(input_size=3, axis_name="batch", mode="batch")
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, value), state)


def pure_batch_norm(value: float) -> dict[str, Any]:
    return {"norm": {name: jnp.full(3, value) for name in ("mean", "var")}}


@pytest.mark.parametrize("statistics", [haiku_average, equinox_state, lambda v: {"batch_stats": pure_batch_norm(v)}])
def test_statistics_of_every_library_are_copied_and_parameters_beside_them_blended(
    statistics: Callable[[float], Any],
) -> None:
    old, new = ({"w": jnp.full(3, value), "state": statistics(value)} for value in (0.0, 1.0))
    updated = soft_update(old, new, 0.25)
    np.testing.assert_allclose(updated["w"], 0.25)
    jax.tree.map(np.testing.assert_array_equal, jax.tree.leaves(updated["state"]), jax.tree.leaves(new["state"]))


def test_the_statistics_of_a_pure_nnx_dictionary_are_copied() -> None:
    old, new = (
        {"norm": {name: jnp.full(3, value) for name in ("mean", "var", "scale", "bias")}} for value in (0.0, 1.0)
    )
    updated = soft_update(old, new, 0.25)["norm"]
    assert {name: float(leaf[0]) for name, leaf in updated.items()} == {
        "mean": 1.0,
        "var": 1.0,
        "scale": 0.25,
        "bias": 0.25,
    }


def test_a_mean_and_a_variance_alone_are_parameters() -> None:
    updated = soft_update(pure_batch_norm(0.0), pure_batch_norm(1.0), 0.25)["norm"]
    np.testing.assert_allclose(updated["mean"], 0.25)


def test_numpy_float64_stays_float64_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    old, new = {"w": np.zeros(2), "n": np.zeros(2, np.int64)}, {"w": np.ones(2), "n": np.ones(2, np.int64)}
    updated = soft_update(old, new, 0.1)
    assert (updated["w"].dtype, updated["n"].dtype) == (np.float64, np.int64)
    np.testing.assert_array_equal(updated["w"], 0.1)
    assert updated["n"] is not new["n"]
    assert not len(recwarn)


@pytest.mark.parametrize(
    ("old", "new"), [(jnp.int32(0), jnp.float32(0.5)), (jnp.float32(0), jnp.complex64(1j)), (3, 0.5)]
)
def test_a_leaf_that_would_be_truncated_raises(old: Any, new: Any) -> None:
    with pytest.raises(ValueError, match=r"\['n'\]: dtype .* against"):
        soft_update({"n": old}, {"n": new}, 0.25)


def test_a_copied_leaf_keeps_the_targets_dtype() -> None:
    old, new = {"batch_stats": jnp.zeros(2, jnp.bfloat16)}, {"batch_stats": jnp.ones(2)}
    assert soft_update(old, new, 0.25)["batch_stats"].dtype == jnp.bfloat16


class Twice(nnx.Module):
    """A module that uses one layer twice."""

    def __init__(self, seed: int) -> None:
        self.first = nnx.Linear(4, 4, rngs=nnx.Rngs(seed))
        self.second = self.first


@pytest.mark.parametrize("jit", [lambda function: function, nnx.jit], ids=["eager", "nnx.jit"])
def test_a_layer_shared_in_the_online_network_is_shared_in_the_target(jit: Callable[[Any], Any]) -> None:
    follow = target_update(TargetUpdate(0.25, 2))
    state = follow.init(Twice(0))
    assert state.target.first is state.target.second
    expected = 0.75 * Twice(0).first.kernel[...] + 0.25 * Twice(1).first.kernel[...]
    for _ in range(2):
        state = jit(follow.update)(Twice(1), state)
    assert state.target.first is state.target.second
    np.testing.assert_allclose(state.target.first.kernel[...], expected, rtol=1e-6)
    assert soft_update(Twice(0), Twice(1), 0.25).first.kernel[...].shape == (4, 4)


@pytest.mark.parametrize("tau", [np.float32(0.25), np.float64(0.25), jnp.float32(0.25), np.array(0.25)])
def test_tau_can_be_any_number(tau: Any) -> None:
    np.testing.assert_array_equal(soft_update(TARGET, ONLINE, tau)["w"], soft_update(TARGET, ONLINE, 0.25)["w"])
