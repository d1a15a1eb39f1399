"""From softstep's actions to an environment's own: discrete ones are 0, 1, …, continuous ones lie in [−1, 1]."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np

from softstep.envs.contract import ActionBounds
from softstep.errors import ConfigError

PROBED = 600
"""Number of actions that are tried before a run."""


@runtime_checkable
class Actions(Protocol):
    """What an environment is given: `actions[action]`."""

    def __getitem__(self, action: Any, /) -> Any:
        """Return the environment's own action."""
        ...


def native_actions(env: Any) -> Actions:
    """Return what an environment is given as actions.

    Actions 0, 1, … are NumPy's integers, as `action_space.sample()` returns; Gymnasium's own environments are given
    Python's, with which they compute faster, to the same bits. Continuous actions are arrays of the space's shape and
    type.
    """
    space = env.action_space
    if isinstance(space, gymnasium.spaces.Box):
        return ScaledActions(space)
    if type(env).__module__.startswith("gymnasium.envs.") and space.start == 0:
        return range(int(space.n))
    return _numbered_actions(int(space.start), int(space.n), space.dtype)


@functools.cache
def _numbered_actions(start: int, count: int, dtype: np.dtype[Any]) -> Sequence[Any]:
    return tuple(dtype.type(start + number) for number in range(count))


class ScaledActions:
    """Maps actions in [−1, 1] to a Box space."""

    def __init__(self, space: gymnasium.spaces.Box) -> None:
        self._bounds, self._shape, self._dtype = box_bounds(space), space.shape, space.dtype

    def __getitem__(self, action: np.ndarray) -> np.ndarray:
        """Return the environment's own action for one of A components in [−1, 1]."""
        scaled: np.ndarray = self._bounds.scale(np, action)
        return scaled.reshape(self._shape).astype(self._dtype)


def box_bounds(space: gymnasium.spaces.Box) -> ActionBounds:
    """Return the range of a Box space's components, in order."""
    return ActionBounds(tuple(np.ravel(space.low).tolist()), tuple(np.ravel(space.high).tolist()))


def check_bounds(env: str, bounds: ActionBounds) -> ActionBounds:
    """Return the bounds; raise ConfigError, naming the environment, unless they are finite and in order."""
    for low, high in zip(*bounds, strict=True):
        if not (np.isfinite([low, high]).all() and low < high):
            raise ConfigError(
                f"env = {env!r} has actions from {low} to {high}: actions are scaled from [-1, 1], so bounds must be"
                " finite (Gymnasium's RescaleAction or ClipAction in a module of your own sets them)"
            )
    return bounds


def actions_to_try(num_actions: int, bounds: ActionBounds | None) -> list[Any]:
    """Return random actions with which an environment is tried before a run, always the same ones."""
    rng = np.random.default_rng(0)
    if bounds is None:
        numbers: list[Any] = rng.integers(num_actions, size=PROBED).tolist()
        return numbers
    return list(rng.uniform(-1, 1, (PROBED, num_actions)).astype(np.float32))
