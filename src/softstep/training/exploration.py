"""ε-greedy exploration, written once for NumPy and `jax.numpy` so that both drivers compute the same bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from softstep.config import Config
from softstep.settings import Exploration


class ExplorationArrays(NamedTuple):
    """The exploration settings of W agents."""

    start: np.ndarray  # (W,): ε at the first step
    end: np.ndarray  # (W,): the floor of ε
    steps: np.ndarray  # (W,): environment steps from start to end, linear schedule only
    factors: np.ndarray  # (W, E + 1) float32: factor on ε after 0 … E ended episodes, geometric schedule only


class GeometricDecay(NamedTuple):
    """How ε falls with every finished episode."""

    floor: Any  # (W,) float32
    factors: Any  # (W, E + 1) float32


def exploration_arrays(explorations: Sequence[Exploration], num_envs: int) -> ExplorationArrays:
    """Return the agents' exploration settings as arrays."""
    decay = np.array([settings.decay for settings in explorations], np.float32)
    return ExplorationArrays(
        np.array([settings.start for settings in explorations]),
        np.array([settings.end for settings in explorations]),
        np.array([settings.steps for settings in explorations]),
        decay[:, None] ** np.arange(num_envs + 1, dtype=np.float32),
    )


def geometric_decay(config: Config, exploration: ExplorationArrays) -> GeometricDecay | None:
    """Return how ε falls per episode under the geometric schedule; None under the linear schedule."""
    if config.exploration.schedule != "geometric":
        return None
    return GeometricDecay(exploration.end.astype(np.float32), exploration.factors)


def epsilon_greedy(xp: Any, values: Any, explores: Any, random_action: Any) -> Any:
    """Choose actions.

    Args:
        xp: `numpy` or `jax.numpy`.
        values: action values (W, E, A).
        explores: who explores (W, E).
        random_action: the actions (W, E) of those who do.

    Returns: actions (W, E), random where `explores`, else the argmax of the values.
    """
    return xp.where(explores, random_action, values.argmax(-1))


class HostEpsilonGreedy:
    """ε-greedy actions of one iteration on the host; evaluates the network only at steps that need it."""

    def __init__(self, uniform: np.ndarray, epsilon: np.ndarray) -> None:
        """Decide who explores: uniform (V, W, E) numbers in [0, 1) below `epsilon`, broadcastable to them."""
        self._explores: np.ndarray = uniform < epsilon
        steps, *others = self._explores.shape
        self._size = math.prod(others)
        # Indexing a list is faster than indexing an array.
        self._counts: Any = self._explores.reshape(steps, -1).sum(1).tolist()

    def actions(self, v: int, random_action: Any, observations: Any, values: Callable[[Any], Any]) -> Any:
        """Return the actions (W, E) of a vector step.

        Args:
            v: number of the vector step within the iteration.
            random_action: the actions (W, E) of those who explore.
            observations: observations (W, E, O).
            values: observations → action values (W, E, A); called only if somebody does not explore.
        """
        if self._counts[v] == self._size:
            return random_action
        if not self._counts[v]:
            return values(observations).argmax(-1)
        return epsilon_greedy(np, values(observations), self._explores[v], random_action)
