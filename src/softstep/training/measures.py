"""The measures that a record takes of each agent's networks."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from softstep.learner.contract import Hyper, Learner, LearnerState, target_gap


class Measures(NamedTuple):
    """The fields of `Record` that are computed from the networks, one value per agent."""

    q_mean: Float[Array, "*W"]
    y_drift: Float[Array, "*W"]
    y_rms: Float[Array, "*W"]
    y_p99: Float[Array, "*W"]
    y_sd: Float[Array, "*W"]
    target_gap: Float[Array, "*W"]
    diverged: Bool[Array, "*W"]


def measure(learner: Learner, state: LearnerState, batch: Any, hyper: Hyper) -> Measures:
    """Take one agent's measures on one minibatch.

    Δy is the change over the minibatch from the state's target network to the one after one more gradient step and
    blend; that step is not kept. y is Q-learning's plain maximum, even with `double_q`; with an actor, everything is
    without noise.

    Args:
        learner: the learner that all agents share.
        state: the agent's networks.
        batch: the minibatch.
        hyper: the agent's settings.
    """
    after, _ = learner.update(state, batch, hyper)
    transitions = batch.discount, batch.next_observation
    before = learner.measured_bootstrap(state, hyper, *transitions)
    change = learner.measured_bootstrap(after, hyper, *transitions) - before
    return Measures(
        q_mean=jnp.mean(learner.state_values(state.online, batch.observation)),
        y_drift=jnp.mean(jnp.abs(change)),
        y_rms=jnp.sqrt(jnp.mean(change**2)),
        y_p99=jnp.quantile(jnp.abs(change), 0.99),
        y_sd=jnp.std(batch.reward + before),
        target_gap=target_gap(state),
        diverged=state.diverged_at > 0,
    )
