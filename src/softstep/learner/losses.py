"""Temporal-difference targets and losses: one equation per function, for one transition; the caller vmaps."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float


def bootstrap(
    discount: Float[Array, ""], next_values: Float[Array, " A"], next_selector: Float[Array, " A"]
) -> Float[Array, ""]:
    """Compute the bootstrapped part of a target.

    Returns: discount · next_values[argmax next_selector], with γ included in `discount`.

    With `next_selector` = `next_values` this is Q-learning's maximum (Mnih et al. 2015). With the online network's
    values as selector and the target network's as values it is double Q-learning (van Hasselt et al. 2016,
    equation 4).
    """
    chosen = jnp.arange(next_values.shape[-1]) == jnp.argmax(next_selector)
    return discount * jnp.sum(jnp.where(chosen, next_values, 0))


def selected_value(values: Float[Array, " A"], action: Array) -> Float[Array, ""]:
    """Select Q(s, a).

    Returns: values[action], as a masked sum: its gradient is a mask, which is much cheaper on a CPU than a scatter.
    """
    return jnp.sum(jnp.where(jnp.arange(values.shape[-1]) == action, values, 0))


Loss = Callable[[Array], Array]
"""TD errors → losses."""


def squared(td_error: Float[Array, ...]) -> Float[Array, ...]:
    """Compute the squared error.

    Returns: δ². The gradient is 2δ: with SGD, α here is half the α of the rule Q ← Q + α·δ·∇Q.
    """
    return jnp.square(td_error)


def huber(td_error: Float[Array, ...]) -> Float[Array, ...]:
    """Compute Huber's loss with threshold 1.

    Returns: δ²/2 for |δ| ≤ 1, |δ| − 1/2 beyond. Source: Huber 1964; Mnih et al. 2015 clip δ alike.
    """
    size = jnp.abs(td_error)
    return jnp.where(size <= 1, 0.5 * jnp.square(td_error), size - 0.5)
