"""What changes with the clock alone: ε under the linear schedule, and the factor on α.

Computed in one place in float32, so that both drivers see the same bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from softstep.config import Config
from softstep.training.exploration import ExplorationArrays


class Schedules(NamedTuple):
    """The values of both schedules over N iterations."""

    epsilon: np.ndarray  # (N, V, W) float32
    learning_rate_factor: np.ndarray  # (N,) float32


def schedules(config: Config, exploration: ExplorationArrays, first: int, count: int) -> Schedules:
    """Compute the schedules of some iterations.

    Args:
        config: the run's configuration.
        exploration: the agents' exploration settings.
        first: number of the first iteration.
        count: number of iterations.

    Returns: ε = start + (end − start)·min(1, t/steps) at every vector step's first environment step t, and
    1 + (learning_rate_decay − 1)·min(1, t/learning_rate_decay_steps) at every iteration's.
    """
    iterations = first + np.arange(count)
    steps = (iterations[:, None] * config.vector_steps + np.arange(config.vector_steps)) * config.num_envs
    share = np.minimum(1.0, steps[:, 0] / config.learning_rate_decay_steps)
    factor = 1.0 + (config.learning_rate_decay - 1.0) * share
    elapsed = np.minimum(1.0, steps[..., None] / exploration.steps)
    epsilon = exploration.start + (exploration.end - exploration.start) * elapsed
    return Schedules(epsilon.astype(np.float32), factor.astype(np.float32))
