"""Greedy evaluation of policies, on separate environments and on seeds common to all agents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from softstep.config import Config
from softstep.envs import CompiledEnv, EnvSpec, episode_seed, in_words, make_evaluation
from softstep.errors import EnvironmentFailed
from softstep.learner.networks import Network, Params, numpy_q_values
from softstep.learner.update import LearnerState
from softstep.training.block import Block
from softstep.training.program_cache import ProgramCache

_EVALUATION = 0x50F75
"""The stream of evaluation seeds, separate from every agent's."""

Evaluate = Callable[[Any, int, int], Float[np.ndarray, "W episodes"]]
"""(online parameters with a leading agent axis, number of the evaluation, episodes) → greedy returns."""


def evaluation_seeds(number: int, episodes: int) -> list[int]:
    """Return the episodes' seeds of evaluation `number`: the same for every agent, disjoint between evaluations."""
    return [episode_seed(_EVALUATION, number, episode) for episode in range(episodes)]


def make_evaluate(
    config: Config, block: Block, spec: EnvSpec, compiled: CompiledEnv | None, cache: ProgramCache | None = None
) -> Evaluate:
    """Return the function that evaluates a block's agents.

    Args:
        config: the run's configuration.
        block: the agents' programs.
        spec: the environment.
        compiled: the compiled environment, for gymnax; None to step environments on the host.
        cache: programs of the other blocks of this configuration.
    """
    agents = len(block.agents)
    if compiled is not None:
        rollout = (cache or ProgramCache()).get(_compiled_rollout, compiled, block)

        def evaluate_compiled(params: Any, number: int, episodes: int) -> np.ndarray:
            keys = jax.vmap(jax.random.key)(jnp.array(evaluation_seeds(number, episodes), jnp.uint32))
            returns = np.asarray(rollout(params, keys))[:agents]
            if not np.isfinite(returns).all():
                wrong = returns[~np.isfinite(returns)][0]
                raise EnvironmentFailed(f"{config.env} failed in an evaluation: the return of an episode is {wrong}")
            return returns

        return evaluate_compiled

    def evaluate_host(params: Any, number: int, episodes: int) -> np.ndarray:
        values = host_q_values(config, block, spec, params)
        return host_returns(spec, values, agents, evaluation_seeds(number, episodes))

    return evaluate_host


def _compiled_rollout(env: CompiledEnv, block: Block) -> Callable[..., Any]:
    return jax.jit(partial(compiled_returns, env, block))


def host_q_values(config: Config, block: Block, spec: EnvSpec, params: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from observations (W, E, O) to action values (W, E, A) of the real agents, on the host.

    Args:
        config: the run's configuration.
        block: the agents' programs.
        spec: the environment.
        params: the networks' parameters, with a leading agent axis.
    """
    if block.learner.network.plain_mlp:
        load = numpy_q_values((spec.observation_size, *config.hidden, spec.num_actions))
        flat = np.concatenate([np.asarray(leaf).reshape(len(leaf), -1) for leaf in params], axis=1)
        return load(flat[: len(block.agents)])

    def values(observations: np.ndarray) -> np.ndarray:
        empty = config.width - len(block.agents)
        padded = np.pad(observations, [(0, empty), (0, 0), (0, 0)])
        return np.asarray(block.q_values(params, padded))[: len(block.agents)]

    return values


def host_returns(
    spec: EnvSpec, values: Callable[[np.ndarray], np.ndarray], agents: int, seeds: Sequence[int]
) -> np.ndarray:
    """Play greedy episodes on the host; an agent's episodes run side by side.

    Args:
        spec: the environment.
        values: observations (W, E, O) → action values (W, E, A).
        agents: number of agents.
        seeds: one per episode.

    Returns: undiscounted returns (agents, episodes).
    """
    step = 0
    try:
        envs = make_evaluation(spec, agents, seeds)
    except Exception as error:
        raise _failed(spec, step, error) from error
    try:
        totals = np.zeros((agents, len(seeds)))
        running = np.ones((agents, len(seeds)), bool)
        while running.any():
            step, actions = step + 1, values(envs.observations).argmax(-1)
            try:
                rewards, ended = envs.step(actions, running)
            except Exception as error:
                raise _failed(spec, step, error) from error
            totals += rewards
            running &= ~ended
        return totals
    finally:
        envs.close()


def _failed(spec: EnvSpec, step: int, error: Exception) -> EnvironmentFailed:
    return EnvironmentFailed(f"{spec.name} failed at step {step} of evaluation episodes: {in_words(error)}")


def compiled_returns(env: CompiledEnv, block: Block, params: Any, keys: Array) -> Float[Array, "W episodes"]:
    """Play greedy episodes inside one compiled program.

    Args:
        env: the compiled environment.
        block: the agents' programs.
        params: parameters of the greedy networks, with a leading agent axis.
        keys: one per episode, the same for every agent.

    Returns: undiscounted returns (W, episodes).
    """
    width = jax.tree.leaves(params)[0].shape[0]
    starts, plays = jax.vmap(lambda key: jax.random.split(key), out_axes=1)(keys)
    initial = jax.vmap(env.reset)(starts)
    state, observation = jax.tree.map(lambda a: jnp.broadcast_to(a, (width, *a.shape)), initial)
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


def evaluated_network(config: Config, state: LearnerState) -> Params:
    """Return the parameters that play greedily: those of Q or of its slow average T, as `eval_network` says."""
    return state.online if config.eval_network == "online" else state.target


def evaluated_parameters(config: Config, network: Network, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Read the parameters (W, ...) that play greedily from a checkpoint's arrays, without building their block."""
    if "learner/gradient_steps" in arrays:
        return tuple(arrays[f"learner/{config.eval_network}/{name}"] for name in network.parameter_names)
    # Version 1 numbered the leaves; a learner's state began with Q, followed by T.
    prefix, count = "block" if "block/000" in arrays else "carry", len(network.parameter_names)
    first = 0 if config.eval_network == "online" else count
    return tuple(arrays[f"{prefix}/{first + i:03}"] for i in range(count))
