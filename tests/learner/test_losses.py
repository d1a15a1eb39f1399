"""TD targets and losses against rlax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rlax

from softstep.learner import losses


@pytest.fixture
def batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    names = ("values", "next_values", "next_selector")
    return {name: rng.standard_normal((200, 4)).astype(np.float32) for name in names} | {
        "action": rng.integers(4, size=200),
        "reward": rng.standard_normal(200).astype(np.float32),
        "discount": rng.choice([0, 0.9, 1], 200).astype(np.float32),
    }


def ours(batch: dict[str, np.ndarray], selector: str) -> jax.Array:
    y = batch["reward"] + jax.vmap(losses.bootstrap)(batch["discount"], batch["next_values"], batch[selector])
    return y - jax.vmap(losses.selected_value)(batch["values"], batch["action"])


def test_q_learning(batch: dict[str, np.ndarray]) -> None:
    names = ("values", "action", "reward", "discount", "next_values")
    expected = jax.vmap(rlax.q_learning)(*(batch[name] for name in names))
    np.testing.assert_allclose(ours(batch, "next_values"), expected, atol=1e-6)


def test_double_q_learning(batch: dict[str, np.ndarray]) -> None:
    names = ("values", "action", "reward", "discount", "next_values", "next_selector")
    expected = jax.vmap(rlax.double_q_learning)(*(batch[name] for name in names))
    np.testing.assert_allclose(ours(batch, "next_selector"), expected, atol=1e-6)


def test_double_q_differs_from_q_learning(batch: dict[str, np.ndarray]) -> None:
    assert np.abs(ours(batch, "next_selector") - ours(batch, "next_values")).max() > 0.1


def test_huber_and_its_gradient() -> None:
    error = jnp.linspace(-3, 3, 121)
    np.testing.assert_allclose(losses.huber(error), rlax.huber_loss(error), atol=1e-6)
    ours, expected = (jax.vmap(jax.grad(f))(error) for f in (losses.huber, rlax.huber_loss))
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_squared_loss_is_twice_the_l2_loss_of_rlax() -> None:
    error = jnp.linspace(-3, 3, 121)
    np.testing.assert_allclose(losses.squared(error), 2 * rlax.l2_loss(error), atol=1e-6)


def test_a_non_finite_value_of_another_action_does_not_affect_the_target() -> None:
    y = 1 + losses.bootstrap(jnp.float32(1), jnp.array([2.0, jnp.inf]), jnp.array([1.0, 0.0]))
    assert y == 3


def test_at_termination_the_target_is_the_reward() -> None:
    y = 7 + losses.bootstrap(jnp.float32(0), jnp.array([2.0, 5.0]), jnp.array([2.0, 5.0]))
    assert y == 7


def test_a_vector_instead_of_a_scalar_is_refused() -> None:
    with pytest.raises(Exception, match="Type-check"):
        losses.bootstrap(jnp.ones(1), jnp.ones(2), jnp.ones(2))
