"""Minibatches of transitions of uniformly random actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from softstep import envs
from softstep.config import Config
from softstep.training.exploration import discounts
from softstep.transition import Transition, columns, row_width, unpack_rows

RECORDED = 2_000
"""Transitions recorded with uniformly random actions."""


def record(config: Config, spec: envs.EnvSpec, updates: int, seed: int) -> Transition:
    """`updates` minibatches, leaves (updates, B, …), drawn uniformly from what `collect` recorded."""
    rows = collect(config, spec, seed)
    picks = np.random.default_rng([seed, 1]).integers(len(rows), size=(updates, config.batch_size))
    return unpack_rows(rows[picks], spec.observation_size)


def collect(config: Config, spec: envs.EnvSpec, seed: int) -> Float[np.ndarray, "N width"]:
    """At least `RECORDED` transitions of uniformly random actions, as replay rows in the order they were made.

    Rewards and discounts are those the configuration learns from: scaled, and a time limit as it says.
    """
    rng, shape, count, rows = np.random.default_rng(seed), (1, config.num_envs), 0, list[np.ndarray]()
    host, keys = _make_host(config, spec, seed)
    while count < RECORDED:
        new = np.empty((*shape, row_width(spec.observation_size)), np.float32)
        observed, acted, rewarded, discount, arrived = columns(new, spec.observation_size)
        actions = rng.integers(spec.num_actions, size=shape)
        observed[...], acted[...] = host.observations, actions
        step = host.step(actions, keys(count))
        rewarded[...], discount[...] = step.reward * np.float32(config.reward_scale), discounts(config, step)
        arrived[...] = step.next_observation
        rows.append(new[np.ones(shape, bool) if step.valid is None else step.valid])
        count += len(rows[-1])
    host.close()
    return np.concatenate(rows)


def _make_host(config: Config, spec: envs.EnvSpec, seed: int) -> tuple[envs.HostEnvs, Callable[[int], Any]]:
    """The configured environments on the host, and the keys (1, E) of a step; None where it draws from none."""
    if spec.maker != "gymnax":
        return envs.make_host(spec, [seed], config.num_envs), lambda step: None
    reset, steps = jax.random.split(jax.random.key(seed))
    shape = (1, config.num_envs)
    host = envs.GymnaxHostEnvs(envs.make_compiled(spec.name), jax.random.split(reset, shape))
    return host, jax.jit(lambda step: jax.random.split(jax.random.fold_in(steps, step), shape))
