"""The randomness of training: counter-based, a function of (seed, purpose, iteration), so that no state is saved."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, UInt32

from softstep.config import Config
from softstep.learner.contract import UpdateNoise

_PURPOSES = ("init", "reset", "act", "replay", "env", "measure", "update")


class Draws(NamedTuple):
    """The randomness of N iterations."""

    explore: Float[Array, "N V W E *A"]
    """Uniform numbers to compare with ε, or, for continuous actions, standard normal numbers (N, V, W, E, A)."""
    action: Int[Array, "N V W E"] | Float[Array, "N V W E A"]
    """Uniformly random actions: integers, or continuous actions in [−1, 1]."""
    replay_bits: UInt32[Array, "N U W B"]
    """Random bits that pick minibatches."""
    update_noise: UpdateNoise | None
    """Standard normal numbers (N, U, W, B, A) for gradient steps; None for deep Q-learning."""
    env_keys: Any
    """Keys (N, V, W, E) for compiled environments; None for others."""


def drawn_ahead(config: Config) -> int:
    """Return the number of iterations that are drawn, and run, in one call: from 64 to 1024.

    Between two calls a core is busy for .3 to 1 ms, as long as it takes for ten to forty updates of a small network. A
    call draws no more than 2¹⁸ numbers, and no further than the most frequent of records, evaluations and checkpoints,
    unless 64 iterations go beyond. On the host, where iterations take longer, it is 256 at most; with continuous
    actions, whose noise is drawn too, it is always 64.
    """
    if config.continuous:
        return 64
    numbers = config.width * (config.updates * config.batch_size + config.steps_per_iteration)
    event = min(n for n in (config.record_every, config.eval_every, config.checkpoint_every) if n)
    most = 1024 if config.env.startswith("gymnax:") else 256
    return min(most, max(64, min(2**18 // numbers, event // config.steps_per_iteration)))


def key_for(seed: Array, purpose: str) -> PRNGKeyArray:
    """Derive the key of a seed for one purpose."""
    return jax.random.fold_in(jax.random.key(seed), _PURPOSES.index(purpose))


def reset_keys(config: Config, seeds: Array) -> Key[Array, "W E"]:
    """Return the keys of the environments' first reset."""
    return jax.vmap(lambda seed: jax.random.split(key_for(seed, "reset"), config.num_envs))(seeds)


def measure_bits(config: Config, seeds: Array, step: Array) -> UInt32[Array, "1 W B"]:
    """Return the random bits that pick the minibatch on which a record's measures are taken."""
    shape = (1, config.batch_size)
    return jax.vmap(lambda seed: _random_bits(seed, "measure", step, shape), out_axes=1)(seeds)


def draw(config: Config, num_actions: int, seeds: Array, first: Array) -> Draws:
    """Draw the randomness of `drawn_ahead` iterations.

    Args:
        config: the run's configuration.
        num_actions: A, the number of discrete actions, or of components of a continuous one.
        seeds: the agents' seeds (W,).
        first: number of the first iteration.
    """
    shape = (config.vector_steps, config.num_envs)

    def draw_one(iteration: Array, seed: Array) -> Draws:
        explore_key, action_key = jax.random.split(jax.random.fold_in(key_for(seed, "act"), iteration))
        env_key = jax.random.fold_in(key_for(seed, "env"), iteration)
        if config.continuous:
            explore = jax.random.normal(explore_key, (*shape, num_actions))
            action = jax.random.uniform(action_key, (*shape, num_actions), minval=-1.0)
        else:
            explore = jax.random.uniform(explore_key, shape)
            action = jax.random.randint(action_key, shape, 0, num_actions)
        return Draws(
            explore,
            action,
            update_noise=_update_noise(config, num_actions, seed, iteration) if config.continuous else None,
            replay_bits=_random_bits(seed, "replay", iteration, (config.updates, config.batch_size)),
            env_keys=jax.random.split(env_key, shape) if config.env.startswith("gymnax:") else None,
        )

    agents = jax.vmap(draw_one, in_axes=(None, 0), out_axes=1)
    return jax.vmap(agents, in_axes=(0, None))(first + jnp.arange(drawn_ahead(config)), seeds)


def _update_noise(config: Config, num_actions: int, seed: Array, iteration: Array) -> UpdateNoise:
    """Draw standard normal numbers (U, B, A) for the gradient steps of one iteration."""
    key = jax.random.fold_in(key_for(seed, "update"), iteration)
    return UpdateNoise(*jax.random.normal(key, (2, config.updates, config.batch_size, num_actions)))


def _random_bits(seed: Array, purpose: str, count: Array, shape: tuple[int, ...]) -> Array:
    return jax.random.bits(jax.random.fold_in(key_for(seed, purpose), count), shape, jnp.uint32)
