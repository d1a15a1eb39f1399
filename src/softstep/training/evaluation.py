"""Greedy evaluation of policies, on separate environments and on seeds common to all agents."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from softstep.config import Config
from softstep.envs import CompiledEnv, EnvSpec, episode_seed, make_evaluation
from softstep.errors import EnvironmentFailed
from softstep.learner.contract import Learner, LearnerState
from softstep.learner.networks import Network, Params, numpy_q_values
from softstep.training.block import Block
from softstep.training.program_cache import ProgramCache
from softstep.user_code import guarded

_EVALUATION = 0x50F75
"""The stream of evaluation seeds, separate from every agent's."""

LARGEST_COUNT = 2**31 - 1
"""Largest number of steps that the compiled program can count."""


class GreedyEpisodes(NamedTuple):
    """What greedy episodes earned."""

    returns: Float[np.ndarray | Array, "W episodes"]
    """Undiscounted returns; of an episode that was cut, the return so far."""
    cut: Bool[np.ndarray | Array, "W episodes"]
    """Whether the episode had not ended within `eval_max_steps` steps."""
    lengths: Int[np.ndarray | Array, "W episodes"]
    """Steps of the episode."""


Evaluate = Callable[[Any, int, int], GreedyEpisodes]
"""(online parameters with a leading agent axis, number of the evaluation, episodes) → greedy episodes."""


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

        def evaluate_compiled(params: Any, number: int, episodes: int) -> GreedyEpisodes:
            keys = jax.vmap(jax.random.key)(jnp.array(evaluation_seeds(number, episodes), jnp.uint32))
            returns, cut, lengths = (
                np.asarray(array)[:agents] for array in rollout(params, keys, min(config.eval_max_steps, LARGEST_COUNT))
            )
            if not np.isfinite(returns).all():
                wrong = returns[~np.isfinite(returns)][0]
                raise EnvironmentFailed(f"{config.env} failed in an evaluation: the return of an episode is {wrong}")
            return GreedyEpisodes(returns, cut, lengths)

        return evaluate_compiled

    def evaluate_host(params: Any, number: int, episodes: int) -> GreedyEpisodes:
        outputs, head = host_outputs(config, block, params), block.learner.head
        seeds = evaluation_seeds(number, episodes)
        return play_on_host(spec, lambda o: head.greedy(np, outputs(o)), agents, seeds, config.eval_max_steps)

    return evaluate_host


def _compiled_rollout(env: CompiledEnv, block: Block) -> Callable[..., Any]:
    return jax.jit(partial(play_compiled, env, block))


def host_outputs(config: Config, block: Block, params: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from observations (W, E, O) to the acting networks' outputs, on the host.

    Args:
        config: the run's configuration.
        block: the agents' programs.
        params: parameters of the acting networks, with a leading agent axis.

    Returns: a function whose results (W, E, outputs) are of the real agents: action values, or an actor's outputs.
    """
    if block.learner.network.plain_mlp:
        sizes = (params[0].shape[-1], *config.hidden, params[-1].shape[-1])
        load = numpy_q_values(sizes)
        flat = np.concatenate([np.asarray(leaf).reshape(len(leaf), -1) for leaf in params], axis=1)
        return load(flat[: len(block.agents)])

    def values(observations: np.ndarray) -> np.ndarray:
        empty = config.width - len(block.agents)
        padded = np.pad(observations, [(0, empty), (0, 0), (0, 0)])
        return np.asarray(block.outputs(params, padded))[: len(block.agents)]

    return values


def play_on_host(
    spec: EnvSpec,
    act: Callable[[np.ndarray], np.ndarray],
    agents: int,
    seeds: Sequence[int],
    max_steps: int,
) -> GreedyEpisodes:
    """Play greedy episodes on the host, a few of each agent's side by side.

    Args:
        spec: the environment.
        act: observations (W, E, O) → actions (W, E) or (W, E, A). They are always asked for all of an agent's
            episodes, because the last bits of a matrix product depend on its number of rows.
        agents: number of agents.
        seeds: one per episode.
        max_steps: steps after which an episode is cut.

    Raises:
        EnvironmentFailed: the environment raised.
    """
    step, envs = 0, make_evaluation(spec, agents, seeds)
    try:
        totals, lengths = np.zeros((agents, len(seeds))), np.zeros((agents, len(seeds)), int)
        cut = np.zeros((agents, len(seeds)), bool)
        while envs.playing.any():
            step, actions = step + 1, act(envs.observations)
            with guarded(f"{spec.name} failed at step {step} of evaluation episodes", EnvironmentFailed):
                rewards, ended = envs.step(actions)
            totals += rewards
            lengths += envs.playing
            endless = envs.playing & ~ended & (lengths >= max_steps)
            cut |= endless
            if (over := ended | endless).any():
                with guarded(f"{spec.name} failed at the start of an evaluation episode", EnvironmentFailed):
                    envs.leave(over)
        return GreedyEpisodes(totals, cut, lengths)
    finally:
        envs.close()


def play_compiled(env: CompiledEnv, block: Block, params: Any, keys: Array, max_steps: Any) -> GreedyEpisodes:
    """Play greedy episodes inside one compiled program.

    Args:
        env: the compiled environment.
        block: the agents' programs.
        params: parameters of the greedy networks, with a leading agent axis.
        keys: one per episode, the same for every agent.
        max_steps: steps after which an episode is cut.
    """
    width = jax.tree.leaves(params)[0].shape[0]
    starts, plays = jax.vmap(lambda key: jax.random.split(key), out_axes=1)(keys)
    initial = jax.vmap(env.reset)(starts)
    state, observation = jax.tree.map(lambda a: jnp.broadcast_to(a, (width, *a.shape)), initial)
    running = jnp.ones((width, len(keys)), bool)

    def step(loop: Any) -> Any:
        state, observation, running, totals, lengths, count = loop
        step_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(plays, count)
        actions = block.learner.head.greedy(jnp, block.outputs(params, observation))
        randomness = jax.vmap(env.draw_randomness)(step_keys)  # the same for every agent
        out = jax.vmap(jax.vmap(env.step), in_axes=(None, 0, 0))(randomness, state, actions)
        totals = totals + jnp.where(running, out.reward, 0)
        ended = out.terminated | out.truncated
        return out.state, out.observation, running & ~ended, totals, lengths + running, count + 1

    first = (state, observation, running, jnp.zeros(running.shape), jnp.zeros(running.shape, int), 0)
    last = jax.lax.while_loop(lambda loop: jnp.any(loop[2]) & (loop[5] < max_steps), step, first)
    return GreedyEpisodes(returns=last[3], cut=last[2], lengths=last[4])


def warn_of_cut_episodes(env: str, cut: int, episodes: int, max_steps: int) -> None:
    """Warn if some of an evaluation's episodes were cut."""
    if cut:
        warnings.warn(
            f"{cut} of {episodes} evaluation episodes of {env} had not ended after {max_steps} steps and were cut:"
            " their returns are those so far (--eval-max-steps sets the limit)",
            RuntimeWarning,
            stacklevel=2,
        )


def evaluated_network(config: Config, learner: Learner, state: LearnerState) -> Params:
    """Return the parameters that play greedily: the acting network's in Q, or in T, as `eval_network` says."""
    networks = state.online if config.eval_network == "online" else state.target
    parameters: Params = learner.acting_parameters(networks)
    return parameters


def evaluated_parameters(config: Config, network: Network, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Read the parameters (W, ...) that play greedily from a checkpoint's arrays, without building their block."""
    if "learner/gradient_steps" in arrays:
        folder = f"learner/{config.eval_network}/{'actor/' if config.continuous else ''}"
        return tuple(arrays[folder + name] for name in network.parameter_names)
    # Version 1 numbered the leaves; a learner's state began with Q, followed by T.
    prefix, count = "block" if "block/000" in arrays else "carry", len(network.parameter_names)
    first = 0 if config.eval_network == "online" else count
    return tuple(arrays[f"{prefix}/{first + i:03}"] for i in range(count))
