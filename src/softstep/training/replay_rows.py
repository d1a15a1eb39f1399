"""The layout of a stored transition: one row of 2·O + 3 floats."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from softstep.config import Config
from softstep.transition import Transition


def row_width(observation_size: int) -> int:
    """Return the number of floats per stored transition, 2·O + 3."""
    return 2 * observation_size + 3


def replay_bytes(config: Config, observation_size: int) -> int:
    """Return the size of the rings of a block's W agents."""
    return config.width * (config.memory_size + config.steps_per_iteration) * row_width(observation_size) * 4


def columns(rows: Any, observation_size: int) -> tuple[Any, Any, Any, Any, Any]:
    """Split rows (..., 2·O + 3) into observation, action, reward, discount and next observation.

    The parts of a NumPy array are views.
    """
    o = observation_size
    return rows[..., :o], rows[..., o], rows[..., o + 1], rows[..., o + 2], rows[..., o + 3 :]


def unpack_rows(rows: Any, observation_size: int) -> Transition:
    """Return rows (..., 2·O + 3) as transitions."""
    observation, action, reward, discount, next_observation = columns(rows, observation_size)
    return Transition(observation, action.astype("int32"), reward, discount, next_observation)


def discounts(config: Config, step: Any) -> Any:
    """Return the learner's discount of each step: false (0) at a true termination, true (1) elsewhere."""
    return ~(step.terminated | step.truncated if config.time_limit_is_terminal else step.terminated)


def make_rows(config: Config, observations: Any, actions: Any, step: Any) -> Any:
    """Return the rows of one vector step in the compiled loop; the host fills them in place instead.

    Args:
        config: the run's configuration.
        observations: observations (W, E, O) before the step.
        actions: actions (W, E).
        step: what the environments returned.

    Returns: rows (W, E, 2·O + 3).
    """
    middle = (actions, step.reward * np.float32(config.reward_scale), discounts(config, step))
    parts = [part[..., None].astype(jnp.float32) for part in middle]
    return jnp.concatenate([observations, *parts, step.next_observation], -1)
