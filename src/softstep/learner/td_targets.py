"""The TD targets y of a batch, the only place where they are computed.

y = r + γ·d·V(s′),    V(s′) = T(s′, argmax_a S(s′, a)),    S = T for Q-learning, S = Q for double Q-learning
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from softstep.learner import losses
from softstep.learner.networks import Network, Params


def bootstrapped_values(
    network: Network,
    params: Params,
    discount: Float[Any, " B"],
    next_observation: Float[Any, "B O"],
    selector_params: Params | None = None,
) -> Float[Array, " B"]:
    """Compute the part of y that the network contributes.

    Args:
        network: the Q-network.
        params: parameters of the network that values the next action.
        discount: γ·d, with d = 0 at true terminations.
        next_observation: s′, before any reset.
        selector_params: parameters of the network that selects the next action; `params` itself for Q-learning. None
            takes max_a T(s′, a) directly: the same value, for measures. (Written like the learner's y, XLA would merge
            the two and round the measures differently.)

    Returns: γ·d·V(s′).
    """
    values = network.batch(params, next_observation)
    if selector_params is None:
        return discount * jnp.max(values, axis=-1)
    selector = values if selector_params is params else network.batch(selector_params, next_observation)
    return jax.vmap(losses.bootstrap)(discount, values, selector)
