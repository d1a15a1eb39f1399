"""The blend T ← c·T + (1 − c)·Q and its firing, as the learner applies them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softstep.learner.target_update import update_target
from softstep.target import blend

float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
taus = st.floats(2**-20, 1, width=32)


def vectors(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(size).astype(np.float32), rng.standard_normal(size).astype(np.float32)


@pytest.mark.parametrize("tau", [0.001, 0.02, 0.5, 1.0])
def test_k_updates_towards_fixed_parameters_leave_the_kth_power_of_c(tau: float) -> None:
    target, online = vectors(100, 0)
    start = target
    for k in range(1, 301):
        target = np.asarray(update_target(jnp.asarray(target), jnp.asarray(online), jnp.float32(tau), True))
        if k in (1, 10, 300):
            remaining = np.float64(1 - np.float64(np.float32(tau))) ** k
            np.testing.assert_allclose(target, online + remaining * (start - online), rtol=0, atol=2e-5)


@given(taus, st.integers(0, 1000))
def test_the_blend_equals_torch_and_optax(tau: float, seed: int) -> None:
    target, online = vectors(50, seed)
    ours = np.asarray(update_target(jnp.asarray(target), jnp.asarray(online), jnp.float32(tau), True))
    by_torch = torch.lerp(torch.from_numpy(target), torch.from_numpy(online), tau).numpy()
    by_optax = np.asarray(optax.incremental_update(jnp.asarray(online), jnp.asarray(target), tau))
    np.testing.assert_allclose(ours, by_torch, rtol=0, atol=5e-7)
    np.testing.assert_allclose(ours, by_optax, rtol=0, atol=5e-7)


@given(hnp.arrays(np.float32, 20, elements=float32), hnp.arrays(np.float32, 20, elements=float32))
def test_tau_one_copies_every_bit(target: np.ndarray, online: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        assert blend(target, online, np.float32(1), where=np.where).tobytes() == online.tobytes()
    moved = update_target(jnp.asarray(target), jnp.asarray(online), jnp.float32(1), True)
    assert np.asarray(moved).tobytes() == online.tobytes()


def test_tau_one_copies_exactly_although_interpolation_would_round() -> None:
    target, online = vectors(10_000, 1)
    assert (target + np.float32(1) * (online - target) != online).mean() > 0.1
    assert np.asarray(update_target(jnp.asarray(target), jnp.asarray(online), 1.0, True)).tobytes() == online.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_update_that_does_not_fire_ignores_a_non_finite_network(value: float) -> None:
    target, online = vectors(10, 2)
    online[3] = value
    kept = update_target(jnp.asarray(target), jnp.asarray(online), jnp.float32(0.5), jnp.array(False))
    assert np.asarray(kept).tobytes() == target.tobytes()


def test_leaves_that_are_not_floating_point_are_copied_not_blended() -> None:
    old, new = {"weight": jnp.zeros(2), "count": jnp.array(3)}, {"weight": jnp.ones(2), "count": jnp.array(8)}
    moved = update_target(old, new, 0.25, True)
    assert moved["count"] == 8
    np.testing.assert_array_equal(moved["weight"], 0.25)
    assert update_target(old, new, 0.25, False)["count"] == 3


@pytest.mark.parametrize("narrow", [jnp.bfloat16, jnp.float16])
def test_the_target_of_a_narrow_network_is_blended_in_float32(narrow: jnp.dtype) -> None:
    target, online = jnp.zeros(4, jnp.float32), jnp.ones(4, narrow)
    for _ in range(1000):  # a bfloat16 target would stall as soon as an update rounds to zero
        target = update_target(target, online, 0.001, True)
    assert target.dtype == jnp.float32
    np.testing.assert_allclose(target, 1 - 0.999**1000, rtol=1e-4)
