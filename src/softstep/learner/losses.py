"""Temporal-difference targets and losses: one equation, one function, one transition; the caller vmaps."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def q_target(
    reward: Float[Array, ""],
    discount: Float[Array, ""],
    next_values: Float[Array, " A"],
    next_selector: Float[Array, " A"],
) -> Float[Array, ""]:
    """The bootstrapped target of one transition.

    Returns: y = r + discount · next_values[argmax next_selector], `discount` including γ.

    With `next_selector` = `next_values` this is Q-learning's maximum (Mnih et al. 2015); with the online
    network's values as selector and the target network's as values, double Q-learning (van Hasselt et al. 2016,
    equation 4).
    """
    chosen = jnp.arange(next_values.shape[-1]) == jnp.argmax(next_selector)
    return reward + discount * jnp.sum(jnp.where(chosen, next_values, 0))


def selected_value(values: Float[Array, " A"], action: Array) -> Float[Array, ""]:
    """Q(s, a).

    Returns: values[action], as a masked sum: its gradient is a mask, much cheaper on a CPU than a scatter.
    """
    return jnp.sum(jnp.where(jnp.arange(values.shape[-1]) == action, values, 0))


def squared(td_error: Float[Array, ...]) -> Float[Array, ...]:
    """Returns: δ². The gradient is 2δ: with SGD, α here is half the α of the rule Q ← Q + α·δ·∇Q."""
    return jnp.square(td_error)


def huber(td_error: Float[Array, ...]) -> Float[Array, ...]:
    """Returns: δ²/2 where |δ| ≤ 1, |δ| − 1/2 beyond. Source: Huber 1964; Mnih et al. 2015 clip δ alike."""
    size = jnp.abs(td_error)
    return jnp.where(size <= 1, 0.5 * jnp.square(td_error), size - 0.5)
