"""What the numbers that a network puts out mean as an action, written once for NumPy and `jax.numpy`.

    argmax      outputs Q(s, ·)    action argmax_a Q(s, a)
    tanh        outputs u          action tanh(u);  exploring: clip(tanh(u) + σ·ε, −1, 1)
    gaussian    outputs μ, log σ   action tanh(μ);  exploring: tanh(μ + σ·ε),  log σ clipped to [−20, 2]

Continuous actions lie in [−1, 1], 0 where a diverged network puts out NaN; ε is standard normal. Sources: Mnih et al.
2015; Lillicrap et al. 2015; Fujimoto et al. 2018; Haarnoja et al. 2018b, appendix C.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

LOG_SD_MIN, LOG_SD_MAX = -20.0, 2.0
"""Bounds of the logarithm of a Gaussian's standard deviation. Source: Haarnoja et al. 2018a, their code."""


class Head(NamedTuple):
    """How outputs become actions."""

    kind: Literal["argmax", "tanh", "gaussian"]
    action_noise: float = 0.0
    """σ of a tanh head's exploration."""

    def outputs(self, num_actions: int) -> int:
        """Return the number of outputs for A discrete actions, or for a continuous action of A components."""
        return 2 * num_actions if self.kind == "gaussian" else num_actions

    def greedy(self, xp: Any, outputs: Any) -> Any:
        """Return the greedy actions: (…) integers, or (…, A) in [−1, 1].

        Args:
            xp: `numpy` or `jax.numpy`.
            outputs: the network's outputs, with the last axis over them.
        """
        if self.kind == "argmax":
            return outputs.argmax(-1)
        actions = xp.tanh(outputs if self.kind == "tanh" else outputs[..., : outputs.shape[-1] // 2])
        return xp.where(xp.isnan(actions), xp.float32(0), actions)

    def explore(self, outputs: Array, noise: Array) -> Array:
        """Return exploring continuous actions (…, A); `noise` (…, A) is standard normal."""
        if self.kind == "tanh":
            actions = jnp.clip(jnp.tanh(outputs) + self.action_noise * noise, -1.0, 1.0)
        else:
            mean, log_sd = mean_and_log_sd(outputs)
            actions = jnp.tanh(mean + jnp.exp(log_sd) * noise)
        return jnp.where(jnp.isnan(actions), 0, actions)


ARGMAX = Head("argmax")


def mean_and_log_sd(outputs: Float[Array, "*B outputs"]) -> tuple[Float[Array, "*B A"], Float[Array, "*B A"]]:
    """Split a Gaussian head's outputs into μ and log σ, clipped."""
    mean, log_sd = jnp.split(outputs, 2, axis=-1)
    return mean, jnp.clip(log_sd, LOG_SD_MIN, LOG_SD_MAX)


def sample_squashed_gaussian(
    outputs: Float[Array, "*B outputs"], noise: Float[Array | np.ndarray, "*B A"]
) -> tuple[Float[Array, "*B A"], Float[Array, " *B"]]:
    """Draw actions a = tanh(u), u = μ + σ·ε, with their log-density; differentiable in the outputs.

        log π(a|s) = Σ [−ε²/2 − log σ − log √(2π) − log(1 − tanh² u)]
        log(1 − tanh² u) = 2·(log 2 − u − softplus(−2u)),    which never rounds to log 0

    Source: Haarnoja et al. 2018b, appendix C.

    Args:
        outputs: μ and log σ.
        noise: ε, standard normal.

    Returns: the actions and log π.
    """
    mean, log_sd = mean_and_log_sd(outputs)
    raw = mean + jnp.exp(log_sd) * noise
    log_slope = 2 * (math.log(2) - raw - jax.nn.softplus(-2 * raw))
    log_density = -0.5 * noise**2 - log_sd - 0.5 * math.log(2 * math.pi) - log_slope
    return jnp.tanh(raw), jnp.sum(log_density, axis=-1)
