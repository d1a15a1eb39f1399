"""Minibatches of transitions that uniformly random actions made in the configured environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from softstep import envs
from softstep.config import Config
from softstep.errors import EnvironmentFailed
from softstep.learner.contract import UpdateNoise
from softstep.training.replay_rows import RowLayout, discounts
from softstep.transition import Transition
from softstep.user_code import guarded

MIN_TRANSITIONS = 2_000
"""Fewest transitions that are recorded."""


class Minibatches(NamedTuple):
    """What gradient steps consume, one after another."""

    transitions: Transition
    """Leaves (count, B, …)."""
    noise: UpdateNoise | None
    """Standard normal numbers (count, B, A) for actor-critic learners; None for deep Q-learning."""


def draw_minibatches(config: Config, spec: envs.EnvSpec, count: int, seed: int) -> Minibatches:
    """Draw minibatches uniformly from recorded transitions of random actions.

    Args:
        config: names the environment, the batch size B and what is learned from rewards and discounts.
        spec: description of the environment.
        count: number of minibatches; the first ones do not depend on it.
        seed: seed of the recording and of the draws.

    """
    rows = record_transitions(config, spec, seed)
    shape = (count, config.batch_size)
    picks = np.random.default_rng([seed, 1]).integers(len(rows), size=shape)
    transitions = _layout(config, spec).unpack(rows[picks], config.gamma)
    if not config.continuous:
        return Minibatches(transitions, None)
    size = (count, 2, config.batch_size, spec.num_actions)
    normal = np.random.default_rng([seed, 2]).standard_normal(size, np.float32)
    return Minibatches(transitions, UpdateNoise(normal[:, 0], normal[:, 1]))


def _layout(config: Config, spec: envs.EnvSpec) -> RowLayout:
    """Return the layout of the rows, which are single steps whatever `n_step` says."""
    return RowLayout(spec.observation_size, spec.num_actions if config.continuous else None)


def record_transitions(config: Config, spec: envs.EnvSpec, seed: int) -> Float[np.ndarray, "N width"]:
    """Record at least `MIN_TRANSITIONS` transitions of uniformly random actions, as replay rows in order of time.

    Rewards and discounts are those the configuration learns from: rewards are scaled, and time limits bootstrap or
    not as configured.

    Raises:
        EnvironmentFailed: the environment raises.
    """
    rng, shape, layout = np.random.default_rng(seed), (1, config.num_envs), _layout(config, spec)
    host, step_keys = _make_host(config, spec, seed)
    rows: list[np.ndarray] = []
    count = 0
    while count < MIN_TRANSITIONS:
        new_rows = np.empty((*shape, layout.width), np.float32)
        observation, action, reward, discount, next_observation = layout.columns(new_rows)
        actions = _random_actions(config, spec, rng)
        observation[...], action[...] = host.observations, actions
        with guarded(f"{config.env} failed under random actions", EnvironmentFailed):
            step = host.step(actions, step_keys(count))
        reward[...], discount[...] = step.reward * np.float32(config.reward_scale), discounts(config, step)
        next_observation[...] = step.next_observation
        valid = np.ones(shape, bool) if step.valid is None else step.valid
        rows.append(new_rows[valid])
        count += len(rows[-1])
    host.close()
    return np.concatenate(rows)


def _random_actions(config: Config, spec: envs.EnvSpec, rng: np.random.Generator) -> np.ndarray:
    """Draw uniformly random actions (1, E) or, in [−1, 1], (1, E, A)."""
    if config.continuous:
        return rng.uniform(-1, 1, (1, config.num_envs, spec.num_actions)).astype(np.float32)
    return rng.integers(spec.num_actions, size=(1, config.num_envs))


def _make_host(config: Config, spec: envs.EnvSpec, seed: int) -> tuple[envs.HostEnvs, Callable[[int], Any]]:
    """Make the configured environments on the host, and a function of a step's keys (1, E).

    The keys are None for environments that draw their randomness themselves.
    """
    if spec.maker != "gymnax":
        return envs.make_host(spec, [seed], config.num_envs), lambda step: None
    reset_key, step_key = jax.random.split(jax.random.key(seed))
    shape = (1, config.num_envs)
    host = envs.GymnaxHostEnvs(envs.make_compiled(spec.name), jax.random.split(reset_key, shape))
    return host, jax.jit(lambda step: jax.random.split(jax.random.fold_in(step_key, step), shape))
