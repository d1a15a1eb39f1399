"""How agents behave: ε-greedy actions, the bookkeeping of episodes, and what changes with the clock.

Written once for NumPy and for `jax.numpy`, so that both drivers compute the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from softstep.config import Config, Exploration


class Walk(NamedTuple):
    """What behaviour carries from step to step."""

    returns: Any  # (W, E) float32, of the running episodes
    lengths: Any  # (W, E) int32
    epsilon: Any  # (W,) float32; moves under the geometric schedule only
    episodes: Any  # (W,) int32, finished


class Ended(NamedTuple):
    """Episodes that ended at one vector step; a length of 0 says that none did."""

    returns: Any  # (W, E) float32
    lengths: Any  # (W, E) int32


class Behaviour(NamedTuple):
    """How random each agent is."""

    start: np.ndarray  # (W,): ε at the first step
    end: np.ndarray  # (W,): its floor
    steps: np.ndarray  # (W,): environment steps from start to end, of the linear schedule
    factors: np.ndarray  # (W, E + 1) float32: on ε after 0 … E ended episodes, of the geometric schedule


def behaviour(explorations: Sequence[Exploration], num_envs: int) -> Behaviour:
    """The agents' exploration as arrays, one place for both drivers, so that they see the same bits."""
    decay = np.array([each.decay for each in explorations], np.float32)
    return Behaviour(
        np.array([each.start for each in explorations]),
        np.array([each.end for each in explorations]),
        np.array([each.steps for each in explorations]),
        decay[:, None] ** np.arange(num_envs + 1, dtype=np.float32),
    )


def first_walk(who: Behaviour, num_envs: int) -> Walk:
    """Before the first step."""
    each = (len(who.start), num_envs)
    return Walk(
        np.zeros(each, np.float32),
        np.zeros(each, np.int32),
        who.start.astype(np.float32),
        np.zeros(len(who.start), np.int32),
    )


def choose(xp: Any, values: Any, explores: Any, random_action: Any) -> Any:
    """Actions (W, E): random where it `explores`, else argmax of the values (W, E, A)."""
    return xp.where(explores, random_action, values.argmax(-1))


def discounts(config: Config, step: Any) -> Any:
    """What the learner is told of a step's end: false (0) at a true end, else true (1)."""
    return ~(step.terminated | step.truncated if config.time_limit_is_terminal else step.terminated)


def make_rows(config: Config, observations: Any, actions: Any, step: Any) -> Any:
    """Replay rows (W, E, 2·O + 3) of one vector step, for the compiled loop; the host writes them in place."""
    middle = (actions, step.reward * np.float32(config.reward_scale), discounts(config, step))
    parts = [part[..., None].astype(jnp.float32) for part in middle]
    return jnp.concatenate([observations, *parts, step.next_observation], -1)


def walked(walk: Walk, rewards: np.ndarray, valid: np.ndarray | None = None) -> Walk:
    """The host's walk K vector steps on: `rewards` (K, W, E), and which steps count (all, where None).

    In one go, because a NumPy call takes longer than its numbers; one after the other, for the compiled loop's bits.
    """
    returns = np.add.accumulate(np.concatenate([walk.returns[None], rewards]), axis=0)[-1]
    steps = len(rewards) if valid is None else valid.sum(0, dtype=np.int32)
    return walk._replace(returns=returns, lengths=walk.lengths + steps)


def settle(xp: Any, falling: tuple[Any, Any] | None, walk: Walk, ended: Any) -> tuple[Walk, Ended]:
    """Close the episodes that `ended` (W, E).

    falling: the floors of ε (W,) and its factors (W, E + 1), by which it falls once for each under the geometric
    schedule; None under the linear one.
    """
    closed = Ended(xp.where(ended, walk.returns, 0), xp.where(ended, walk.lengths, 0))
    count = ended.sum(-1)
    epsilon = walk.epsilon
    if falling is not None:
        floor, factors = falling
        epsilon = xp.maximum(floor, epsilon * xp.take_along_axis(factors, count[:, None], -1)[:, 0])
    moved = Walk(
        xp.where(ended, np.float32(0), walk.returns),
        xp.where(ended, np.int32(0), walk.lengths),
        epsilon,
        walk.episodes + count.astype(np.int32),
    )
    return moved, closed


class Schedule(NamedTuple):
    """What changes with the clock alone, in float32 from one place, so that both drivers see the same bits."""

    epsilon: np.ndarray  # (N, V, W): of the linear schedule
    rate: np.ndarray  # (N,): factor on α


def falling(config: Config, who: Behaviour) -> tuple[np.ndarray, np.ndarray] | None:
    """What `settle` needs of the geometric schedule; None under the linear one."""
    return (who.end.astype(np.float32), who.factors) if config.exploration.schedule == "geometric" else None


def schedule(config: Config, who: Behaviour, first: int, count: int) -> Schedule:
    """The schedules of `count` iterations from number `first` on."""
    iterations = first + np.arange(count)
    steps = (iterations[:, None] * config.vector_steps + np.arange(config.vector_steps)) * config.num_envs
    share = np.minimum(1.0, steps[:, 0] / config.learning_rate_decay_steps)
    rate = 1.0 + (config.learning_rate_decay - 1.0) * share
    passed = np.minimum(1.0, steps[..., None] / who.steps)
    epsilon = who.start + (who.end - who.start) * passed
    return Schedule(epsilon.astype(np.float32), rate.astype(np.float32))


class Explores:
    """Who explores at which vector step of an iteration, so that a step asks the network only where it must."""

    def __init__(self, uniform: np.ndarray, epsilon: np.ndarray) -> None:
        self._each: np.ndarray = uniform < epsilon  # (V, W, E)
        steps, *others = self._each.shape
        self._all = math.prod(others)
        self._count: Any = self._each.reshape(steps, -1).sum(1).tolist()  # lists are quicker to ask than arrays

    def choose(self, v: int, random_action: Any, observations: Any, values: Callable[[Any], Any]) -> Any:
        """Actions (W, E) of vector step `v`."""
        if self._count[v] == self._all:
            return random_action
        if not self._count[v]:
            return values(observations).argmax(-1)
        return choose(np, values(observations), self._each[v], random_action)
