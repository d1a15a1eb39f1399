"""Greedy rollouts: what a policy is worth, on environments of its own and seeds common to all agents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from softstep.config import Config
from softstep.envs import CompiledEnv, EnvSpec, episode_seed, make_evaluation
from softstep.learner.networks import numpy_q_values
from softstep.training.block import Block, Shared

_EVALUATION = 0x50F75
"""The stream of evaluation seeds, apart from every agent's."""

Evaluate = Callable[[Any, int, int], Float[np.ndarray, "W episodes"]]
"""(online parameters with a leading agent axis, number of the evaluation, episodes) → greedy returns."""


def evaluation_seeds(number: int, episodes: int) -> list[int]:
    """The episodes' seeds of evaluation `number`: the same for every agent, disjoint between evaluations."""
    return [episode_seed(_EVALUATION, number, episode) for episode in range(episodes)]


def make_evaluate(
    config: Config, block: Block, spec: EnvSpec, compiled: CompiledEnv | None, shared: Shared | None = None
) -> Evaluate:
    """The evaluation of a block's agents on its environment."""
    agents = len(block.agents)
    if compiled is not None:
        rollout = (shared or Shared())(_compiled_rollout, compiled, block)

        def evaluate_compiled(params: Any, number: int, episodes: int) -> np.ndarray:
            keys = jax.vmap(jax.random.key)(jnp.array(evaluation_seeds(number, episodes), jnp.uint32))
            return np.asarray(rollout(params, keys))[:agents]

        return evaluate_compiled

    def evaluate_host(params: Any, number: int, episodes: int) -> np.ndarray:
        values = host_q_values(config, block, spec, params)
        return host_returns(spec, values, agents, evaluation_seeds(number, episodes))

    return evaluate_host


def _compiled_rollout(env: CompiledEnv, block: Block) -> Callable[..., Any]:
    return jax.jit(partial(compiled_returns, env, block))


def host_q_values(config: Config, block: Block, spec: EnvSpec, params: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Observations (W, E, O) → action values (W, E, A) of the block's real agents, on the host."""
    if block.learner.network.plain_mlp:
        load = numpy_q_values((spec.observation_size, *config.hidden, spec.num_actions))
        packed = np.concatenate([np.asarray(leaf).reshape(len(leaf), -1) for leaf in params], axis=1)
        return load(packed[: len(block.agents)])

    def values(observations: np.ndarray) -> np.ndarray:
        empty = config.width - len(block.agents)
        padded = np.pad(observations, [(0, empty), (0, 0), (0, 0)])
        return np.asarray(block.q_values(params, padded))[: len(block.agents)]

    return values


def host_returns(
    spec: EnvSpec, values: Callable[[np.ndarray], np.ndarray], agents: int, seeds: Sequence[int]
) -> np.ndarray:
    """Undiscounted greedy returns (agents, episodes); an agent's episodes run side by side."""
    envs = make_evaluation(spec, agents, seeds)
    try:
        totals = np.zeros((agents, len(seeds)))
        running = np.ones((agents, len(seeds)), bool)
        while running.any():
            rewards, ended = envs.step(values(envs.observations).argmax(-1), running)
            totals += rewards
            running &= ~ended
        return totals
    finally:
        envs.close()


def compiled_returns(env: CompiledEnv, block: Block, params: Any, keys: Array) -> Float[Array, "W episodes"]:
    """Undiscounted greedy returns of every agent on the same `keys`, inside one program."""
    width = jax.tree.leaves(params)[0].shape[0]
    starts, plays = jax.vmap(lambda key: jax.random.split(key), out_axes=1)(keys)
    each = jax.vmap(env.reset)(starts)
    state, observation = jax.tree.map(lambda a: jnp.broadcast_to(a, (width, *a.shape)), each)
    running = jnp.ones((width, len(keys)), bool)

    def step(loop: Any) -> Any:
        state, observation, running, totals, count = loop
        step_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(plays, count)
        actions = jnp.argmax(block.q_values(params, observation), axis=-1)
        randomness = jax.vmap(env.draw_randomness)(step_keys)  # the same for every agent
        out = jax.vmap(jax.vmap(env.step), in_axes=(None, 0, 0))(randomness, state, actions)
        totals = totals + jnp.where(running, out.reward, 0)
        return out.state, out.observation, running & ~(out.terminated | out.truncated), totals, count + 1

    first = (state, observation, running, jnp.zeros(running.shape), 0)
    totals: Array = jax.lax.while_loop(lambda loop: jnp.any(loop[2]), step, first)[3]
    return totals
