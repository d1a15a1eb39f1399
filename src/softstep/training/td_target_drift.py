"""How far the TD targets y move, measured at every gradient step on transitions that never change.

y = r + γ·d·max_a T(s′, a)          on a frozen probe of P transitions, without double Q; for an actor-critic learner
                                    T(s′, a) of the greedy action, so that Δy includes the actor's move
Δy = y after the gradient step and its blend − y before
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from softstep.learner.contract import Hyper, Learner, LearnerState

BINS_PER_OCTAVE, LOWEST_POWER, HIGHEST_POWER = 16, -40, 24
"""The histogram of |Δy|: bins per factor of two between two powers of two; bin 0 holds everything smaller."""

BINS = (HIGHEST_POWER - LOWEST_POWER) * BINS_PER_OCTAVE + 1


class Probe(NamedTuple):
    """What y needs of the probe's transitions; with leading axes (W,) for a block."""

    reward: Float[Any, "*W P"]
    discount: Float[Any, "*W P"]
    next_observation: Float[Any, "*W P O"]


class TdTargetDrift(NamedTuple):
    """Sums over the gradient steps since the last record."""

    y: Float[Array, "W P"]
    """The current targets."""
    steps: Int[Array, " W"]
    absolute: Float[Array, " W"]
    """Σ |Δy|."""
    square: Float[Array, " W"]
    """Σ Δy²."""
    counts: Int[Array, "W bins"]
    """Histogram of |Δy|."""


def probe_targets(learner: Learner, state: LearnerState, probe: Probe, hyper: Hyper) -> Float[Array, " P"]:
    """Compute y on one agent's probe.

    Args:
        learner: the learner that all agents share.
        state: the agent's networks.
        probe: the agent's transitions.
        hyper: the agent's settings.
    """
    return probe.reward + learner.measured_bootstrap(state, hyper, probe.discount, probe.next_observation)


def initial_drift(y: Float[Array, "W P"]) -> TdTargetDrift:
    """Return sums of zero, starting from the targets `y`."""
    width = y.shape[0]
    return TdTargetDrift(
        y, jnp.zeros(width, jnp.int32), jnp.zeros(width), jnp.zeros(width), jnp.zeros((width, BINS), jnp.int32)
    )


def add_step(drift: TdTargetDrift, y: Float[Array, "W P"]) -> TdTargetDrift:
    """Add one gradient step, after which the targets are `y`."""
    change = jnp.abs(y - drift.y)
    place = jnp.floor((jnp.log2(change) - LOWEST_POWER) * BINS_PER_OCTAVE) + 1  # log2(0) = −inf falls into bin 0
    bins = jnp.where(jnp.isnan(place), 0, jnp.clip(place, 0, BINS - 1)).astype(jnp.int32)
    return TdTargetDrift(
        y,
        drift.steps + 1,
        drift.absolute + change.sum(-1),
        drift.square + (change**2).sum(-1),
        jax.vmap(lambda counts, at: counts.at[at].add(1))(drift.counts, bins),
    )


def summarize(drift: TdTargetDrift) -> dict[str, Float[Array, " W"]]:
    """Return y_drift, y_rms, y_p99 (to 2 %) and y_sd as a record has them; NaN before the first gradient step."""
    count = drift.steps * drift.y.shape[-1]
    below = jnp.cumsum(drift.counts, axis=-1)
    at = jnp.argmax(below >= jnp.ceil(0.99 * count)[:, None], axis=-1)
    p99 = jnp.where(at == 0, 0.0, 2.0 ** (LOWEST_POWER + (at - 0.5) / BINS_PER_OCTAVE))
    return {
        "y_drift": drift.absolute / count,
        "y_rms": jnp.sqrt(drift.square / count),
        "y_p99": jnp.where(jnp.isfinite(drift.absolute) & (count > 0), p99, jnp.nan),
        "y_sd": jnp.std(drift.y, axis=-1),
    }
