"""How far the learning targets y move: measured at every gradient step, on transitions that never change.

y = r + γ·d·max_a T(s′, a)          on a frozen probe of P transitions, double Q off
Δy = y after the gradient step and its blend − y before
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from softstep.learner.update import Hyper, Learner, LearnerState

PER_OCTAVE, LOWEST, HIGHEST = 16, -40, 24
"""The histogram of |Δy|: bins per factor of two, between these powers of two; bin 0 holds what is smaller."""

BINS = (HIGHEST - LOWEST) * PER_OCTAVE + 1


class Probe(NamedTuple):
    """What y needs of the probe's transitions; leading axes (W,) for a block."""

    reward: Float[Any, "*W P"]
    discount: Float[Any, "*W P"]
    next_observation: Float[Any, "*W P O"]


class Drift(NamedTuple):
    """Sums over the gradient steps since the last record."""

    y: Float[Array, "W P"]
    """As it stands now."""
    steps: Int[Array, " W"]
    absolute: Float[Array, " W"]
    square: Float[Array, " W"]
    counts: Int[Array, "W bins"]
    """Histogram of |Δy|."""


class DriftSummary(NamedTuple):
    """Over every gradient step since the last record and every transition of the probe; NaN before the first."""

    y_drift: Float[Array, " W"]
    """Mean |Δy|."""
    y_rms: Float[Array, " W"]
    """√ mean Δy²."""
    y_p99: Float[Array, " W"]
    """99th percentile of |Δy|, to 2 %."""
    y_sd: Float[Array, " W"]
    """Standard deviation of y over the probe, now."""


def probed_targets(learner: Learner, state: LearnerState, probe: Probe, hyper: Hyper) -> Float[Array, " P"]:
    """y of one agent's probe."""
    values = learner.network.batch(state.target, probe.next_observation)
    return probe.reward + hyper.gamma * probe.discount * jnp.max(values, axis=-1)


def first_drift(y: Float[Array, "W P"]) -> Drift:
    """Nothing has moved yet."""
    width = y.shape[0]
    zeros = jnp.zeros(width)
    counts = jnp.zeros((width, BINS), jnp.int32)
    return Drift(y, jnp.zeros(width, jnp.int32), zeros, jnp.zeros(width), counts)


def moved(drift: Drift, y: Float[Array, "W P"]) -> Drift:
    """Take in the y after one more gradient step."""
    change = jnp.abs(y - drift.y)
    place = jnp.floor((jnp.log2(change) - LOWEST) * PER_OCTAVE) + 1  # log2(0) = −inf lands in bin 0
    bins = jnp.where(jnp.isnan(place), 0, jnp.clip(place, 0, BINS - 1)).astype(jnp.int32)
    return Drift(
        y,
        drift.steps + 1,
        drift.absolute + change.sum(-1),
        drift.square + (change**2).sum(-1),
        jax.vmap(lambda counts, at: counts.at[at].add(1))(drift.counts, bins),
    )


def summary(drift: Drift) -> DriftSummary:
    """What the sums say."""
    count = drift.steps * drift.y.shape[-1]
    below = jnp.cumsum(drift.counts, axis=-1)
    at = jnp.argmax(below >= jnp.ceil(0.99 * count)[:, None], axis=-1)
    p99 = jnp.where(at == 0, 0.0, 2.0 ** (LOWEST + (at - 0.5) / PER_OCTAVE))
    return DriftSummary(
        drift.absolute / count,
        jnp.sqrt(drift.square / count),
        jnp.where(jnp.isfinite(drift.absolute) & (count > 0), p99, jnp.nan),
        jnp.std(drift.y, axis=-1),
    )
