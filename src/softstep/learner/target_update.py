"""The target update on JAX pytrees: the formula of `softstep.target`, fired or not."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from softstep.target import blend, scheduled_tau


def update_target(target: Any, online: Any, tau: Any, fire: Any) -> Any:
    """Update the target network if `fire`, else return it unchanged.

    Floating-point leaves are blended, all others copied. Firing is *chosen* (`where`), never multiplied in:
    0 · NaN would poison a target that must not move.

    Args:
        target: parameters of T; empty, (), for a network without a target.
        online: the *new* parameters of Q.
        tau: weight of the new parameters, in (0, 1].
        fire: whether the update is due.
    """

    def update_leaf(old: Array, new: Array) -> Array:
        updated = blend(old, new, tau, where=jnp.where) if jnp.issubdtype(old.dtype, jnp.inexact) else new
        return jnp.where(fire, updated, old)

    has_target = not isinstance(target, tuple) or len(target) > 0
    return jax.tree.map(update_leaf, target, online) if has_target else ()


def tau_at(tau: Any, harmonic_steps: Any, step: Any) -> Any:
    """Return τ at gradient step `step`, counted from 1: min(τ, K/t) for K = `harmonic_steps`, or τ if that is None.

    An infinite K gives the very bits of τ, so that agents with constant and with harmonic targets share a program.
    """
    return tau if harmonic_steps is None else scheduled_tau(tau, harmonic_steps, step, minimum=jnp.minimum)
