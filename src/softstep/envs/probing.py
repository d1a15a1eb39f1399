"""Does an episode replay from its seed and its actions alone? Found out by playing some episodes twice."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from softstep.errors import INTERRUPTIONS, BadValue, NotFinite
from softstep.random_streams import random_streams_restored

FIRST_STEPS = 40
"""Steps that must not fail; a later failure ends the playing and is left to the run, which can name its step."""

SECONDS = 0.5
"""Time after which the first playing ends, for environments that are slow to step."""


@runtime_checkable
class Playable(Protocol):
    """An environment whose episodes have numbers, from which their seeds are made."""

    episode: int

    def reset(self) -> np.ndarray:
        """Start episode number `episode`; return its first observation."""
        ...

    def step(self, action: Any) -> tuple[np.ndarray, Any, Any, Any]:
        """Take one action; return observation, reward, terminated and truncated."""
        ...

    def close(self) -> None:
        """Close the environment."""
        ...


class _Episode(NamedTuple):
    """What an episode returned."""

    first: int
    """A hash of the first observation."""
    steps: list[tuple[Any, ...]]
    """What `_take` returned at every step."""


def replays_exactly(make: Callable[[], Playable], actions: Sequence[Any]) -> bool:
    """Return whether a second environment plays the same episodes as the first, bit for bit.

    The second one plays them in reverse order, and other code draws from the global random streams meanwhile: neither
    the episodes before nor those streams may matter, because a resumed run has others. Only one environment exists at a
    time, and the global streams are left as they were.

    Args:
        make: makes one environment; its exceptions pass through.
        actions: actions that are played, over as many episodes as they last.
    """
    with random_streams_restored():
        first = _play_first(make(), actions)
        return _plays_again(make(), first, actions)


def _play_first(env: Playable, actions: Sequence[Any]) -> list[_Episode]:
    """Play episodes 0, 1, … until the actions are used up or the time is over."""
    episodes = list[_Episode]()
    deadline, used = time.monotonic() + SECONDS, 0
    with contextlib.closing(env):
        while used < len(actions) and (not used or time.monotonic() < deadline):
            env.episode = len(episodes)
            episodes.append(_Episode(_digest(env.reset()), []))
            for action in actions[used:]:
                try:
                    episodes[-1].steps.append(_take(env, action))
                except INTERRUPTIONS:
                    raise
                except BaseException as error:  # of the user's code, which raises whatever it likes
                    if used + len(episodes[-1].steps) < FIRST_STEPS or isinstance(error, BadValue):
                        raise
                    return episodes
                if any(episodes[-1].steps[-1][2:]) or time.monotonic() > deadline:
                    break
            used += len(episodes[-1].steps)
    return episodes


def _plays_again(env: Playable, episodes: list[_Episode], actions: Sequence[Any]) -> bool:
    """Return whether `env` plays the same episodes, the last one first, while others draw random numbers."""
    end = sum(len(episode.steps) for episode in episodes)
    with contextlib.closing(env):
        for number in reversed(range(len(episodes))):
            begin = end - len(episodes[number].steps)
            env.episode = number
            if not _plays_episode(env, episodes[number], actions[begin:end]):
                return False
            end = begin
    return True


def _plays_episode(env: Playable, episode: _Episode, actions: Sequence[Any]) -> bool:
    """Return whether `env` plays the episode whose number it has."""
    _draw_from_global_streams()
    try:
        if _digest(env.reset()) != episode.first:
            return False
        for action, expected in zip(actions, episode.steps, strict=True):
            _draw_from_global_streams()
            if _take(env, action) != expected:
                return False
    except INTERRUPTIONS:
        raise
    except BaseException:  # the first time it did not fail
        return False
    return True


def _take(env: Playable, action: Any) -> tuple[Any, ...]:
    """Take a step; return a hash of its observation, its reward, and whether the episode ended.

    An episode ends at a reward that is no number: the run that meets it will name the step.
    """
    try:
        observation, reward, terminated, truncated = env.step(action)
    except NotFinite:
        return 0, None, True, False
    return _digest(observation), reward, bool(terminated), bool(truncated)


def _digest(array: np.ndarray) -> int:
    """Return a hash of an array's bytes, so that even NaNs can be compared."""
    return hash((array.dtype.str, array.tobytes()))


def _draw_from_global_streams() -> None:
    np.random.random()  # noqa: NPY002 (this stream is meant)
    random.random()
