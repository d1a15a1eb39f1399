"""The driver for environments that are stepped from Python, while the block learns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from softstep.config import Config
from softstep.envs import EnvSpec, HostEnvs, Step
from softstep.errors import EnvironmentFailed, in_words
from softstep.kernels.acting import make_actor
from softstep.kernels.support import kernels_supported
from softstep.learner.networks import flatten_parameters, numpy_q_values
from softstep.records.events import FinishedEpisode
from softstep.training.block import Block, BlockInputs, BlockState
from softstep.training.driver import finished_episodes, replay_capacity
from softstep.training.episode_statistics import (
    EpisodeStatistics,
    add_rewards,
    close_episodes,
    initial_statistics,
)
from softstep.training.exploration import HostEpsilonGreedy, exploration_arrays, geometric_decay
from softstep.training.merged_arrays import MergedArrays, make_merging
from softstep.training.program_cache import ProgramCache
from softstep.training.randomness import Draws
from softstep.training.replay import HostReplay
from softstep.training.replay_rows import columns, discounts, row_width
from softstep.training.schedules import schedules
from softstep.training.snapshots import from_arrays, from_numbered_arrays, to_arrays


class HostDriver:
    """Steps host environments while the block learns."""

    def __init__(
        self,
        config: Config,
        block: Block,
        envs: HostEnvs,
        cache: ProgramCache | None = None,
        *,
        xla_acting: bool = False,
    ) -> None:
        """Prepare a block for its first iteration.

        Args:
            config: the run's configuration.
            block: the agents' programs.
            envs: their environments.
            cache: programs of the other blocks of this configuration.
            xla_acting: whether XLA evaluates the acting network, as it does in the compiled loop.
        """
        self._config, self._block, self._envs, self.inputs = config, block, envs, block.inputs
        self._agents = len(block.agents)
        self._exploration = exploration_arrays([agent.exploration for agent in block.agents], config.num_envs)
        self._decay = geometric_decay(config, self._exploration)
        self._load_actor = None if xla_acting else _actor(config, block, envs.spec)
        self._width = row_width(envs.spec.observation_size)
        self._ring = HostReplay(self._agents, replay_capacity(config), config.steps_per_iteration, self._width)
        self._lockstep = envs.spec.maker != "envpool"  # not every step of EnvPool is a transition
        state = block.init()
        self._learn, self._merge, self._split = (cache or ProgramCache()).get(_merged_programs, block.learn, state)
        self.state, self.statistics = state, initial_statistics(self._exploration, config.num_envs)
        self.iteration = 0
        self._act_with(_acting_parameters(state))

    @property
    def state(self) -> BlockState:
        """The learning state."""
        return self._split(self._merged)

    @state.setter
    def state(self, state: BlockState) -> None:
        self._merged: MergedArrays = self._merge(state)

    def _act_with(self, parameters: Any) -> None:
        """Act with these online parameters from now on; waits until they are computed."""
        if self._load_actor is not None:
            self._q_values = self._load_actor(np.asarray(parameters)[: self._agents])
        else:
            online = self.state.learner.online
            self._q_values = lambda o: np.asarray(self._block.q_values(online, self._padded(o)))[: self._agents]

    def _padded(self, values: np.ndarray, axis: int = 0) -> np.ndarray:
        """Fill the block's empty slots with zeros."""
        empty = self._config.width - self._agents
        if not empty:
            return values
        widths = [(0, 0)] * values.ndim
        widths[axis] = (0, empty)
        return np.pad(values, widths)

    def advance(self, count: int, *, learning: bool, seconds: float = math.inf) -> list[FinishedEpisode]:
        """Run up to `count` iterations."""
        finished, deadline = list[FinishedEpisode](), time.monotonic() + seconds
        draws = _to_numpy(self._block.draw(self.iteration), self._agents)
        scheduled = schedules(self._config, self._exploration, self.iteration, count)
        for n in range(count):
            parameters = None
            if learning:
                minibatches = self._padded(self._ring.sample(draws.replay_bits[n]), axis=1)
                factor = scheduled.learning_rate_factor[n]
                self._merged, parameters = self._learn(self._merged, minibatches, factor, self.inputs)
            keys = None if draws.env_keys is None else draws.env_keys[n]
            finished += self._collect(draws.uniform[n], draws.action[n], keys, scheduled.epsilon[n])
            if parameters is not None:
                self._act_with(parameters)
            self.iteration += 1
            if time.monotonic() > deadline:
                break
        return finished

    def _collect(
        self, uniform: np.ndarray, random_action: np.ndarray, keys: Any, linear_epsilon: Any
    ) -> list[FinishedEpisode]:
        """Make the iteration's vector steps and store them.

        Args:
            uniform: numbers (V, W, E) in [0, 1), compared with ε.
            random_action: the actions (V, W, E) of those who explore.
            keys: keys (V, W, E) for gymnax environments; None for others.
            linear_epsilon: ε (V, W) under the linear schedule.

        Returns: the episodes that finished.
        """
        config, finished = self._config, list[FinishedEpisode]()
        rows, valid, counted = self._new_rows(), list[np.ndarray](), 0
        observation, action, reward, discount, next_observation = columns(rows, self._envs.observations.shape[-1])
        discount[...] = 1
        greedy = HostEpsilonGreedy(uniform, self._epsilon(linear_epsilon))
        for v in range(config.vector_steps):
            at = (self.iteration * config.vector_steps + v + 1) * config.num_envs
            actions = greedy.actions(v, random_action[v], self._envs.observations, self._q_values)
            observation[v], action[v] = self._envs.observations, actions
            step = self._step(at, actions, None if keys is None else keys[v])
            reward[v], next_observation[v] = step.reward, step.next_observation
            if step.valid is not None:
                valid.append(step.valid)
            if not step.some_ended:
                continue
            discount[v] = discounts(config, step)
            self._count_steps(reward[counted : v + 1], valid[counted:])
            ended = step.terminated | step.truncated
            self.statistics, closed = close_episodes(np, self._decay, self.statistics, ended)
            finished, counted = finished + finished_episodes(closed, at), v + 1
            if self._decay is not None:
                greedy = HostEpsilonGreedy(uniform, self._epsilon(linear_epsilon))
        self._count_steps(reward[counted:], valid[counted:])
        self._scale(reward)
        for v, kept in enumerate(valid):
            self._ring.write(rows[v], kept)
        return finished

    def _scale(self, reward: np.ndarray) -> None:
        """Multiply the iteration's rewards by `reward_scale`, in place."""
        scale = self._config.reward_scale
        reward *= np.float32(scale)
        if scale > 1 and not np.isfinite(reward).all():
            at = self.iteration * self._config.steps_per_iteration
            raise EnvironmentFailed(
                f"{self._config.env} failed after environment step {at}: its reward times reward_scale = {scale} is"
                " beyond float32"
            )

    def _epsilon(self, linear: Any) -> Any:
        """Return ε, broadcastable to (V, W, E); `linear` (V, W) is that of the linear schedule."""
        return linear[:, :, None] if self._decay is None else self.statistics.epsilon[:, None]

    def _count_steps(self, rewards: np.ndarray, valid: list[np.ndarray]) -> None:
        """Add vector steps to the episode statistics."""
        if len(rewards):
            self.statistics = add_rewards(self.statistics, rewards, np.array(valid) if valid else None)

    def _new_rows(self) -> np.ndarray:
        """Return an array for an iteration's rows (V, W, E, width): a view of the ring, unless some are dropped."""
        config = self._config
        shape = (self._agents, config.vector_steps, config.num_envs, self._width)
        rows = self._ring.claim(config.steps_per_iteration) if self._lockstep else np.empty(shape, np.float32)
        return rows.reshape(shape).transpose(1, 0, 2, 3)

    def _step(self, at: int, actions: Any, keys: Any) -> Step:
        """Step the environments to environment step `at`."""
        try:
            return self._envs.step(actions, keys)
        except (Exception, SystemExit) as error:
            message = f"{self._config.env} failed at environment step {at}: {in_words(error)}"
            raise EnvironmentFailed(message) from error

    def check(self) -> None:
        """Do nothing: environments on the host refuse such numbers themselves, and `_scale` what becomes of them."""

    def minibatch(self, random_bits: Any) -> np.ndarray:
        """Return the replay rows that `random_bits` pick."""
        return self._padded(self._ring.sample(np.asarray(random_bits)[:, : self._agents]), axis=1)

    def new_rows(self, mark: np.ndarray, until: np.ndarray | None = None) -> list[np.ndarray]:
        """Return the rows each agent wrote between two counts."""
        return self._ring.since(mark, until)

    def written(self) -> np.ndarray:
        """Return the number of rows ever written."""
        return self._ring.written.copy()

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return learner, episode statistics and environments as arrays."""
        names = self._block.learner.network.parameter_names
        envs = {f"env/{name}": array for name, array in self._envs.snapshot().items()}
        statistics = to_arrays(self.statistics, "episode_statistics/", names)
        return to_arrays(self.state, "", names) | statistics | envs | {"written": self.written()}

    def restore(self, arrays: dict[str, np.ndarray], rows: list[np.ndarray], iteration: int) -> int:
        """Return to a snapshot; return the number of environments that have started a new episode instead."""
        if "block/000" in arrays:
            self.state = from_numbered_arrays(self.state, "block/", arrays)
            statistics = from_numbered_arrays(self.statistics, "walk/", arrays)
        else:
            names = self._block.learner.network.parameter_names
            self.state = from_arrays(self.state, "", names, arrays)
            statistics = from_arrays(self.statistics, "episode_statistics/", names, arrays)
        self.statistics = EpisodeStatistics(*map(np.array, statistics))
        self.iteration = iteration
        cut = self._envs.restore({k.removeprefix("env/"): v for k, v in arrays.items() if k.startswith("env/")})
        returns, lengths = (np.where(cut, 0, of) for of in (self.statistics.returns, self.statistics.lengths))
        self.statistics = self.statistics._replace(returns=returns, lengths=lengths)
        for agent, (total, newest) in enumerate(zip(arrays["written"], rows, strict=True)):
            self._ring.put(agent, int(total) - len(newest), newest)
        self._ring.written[:] = arrays["written"]
        self._act_with(_acting_parameters(self.state))
        return int(cut.sum())

    def close(self) -> None:
        """Close the environments."""
        self._envs.close()


def _merged_programs(
    learn: Callable[..., BlockState], like: BlockState
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """Compile `learn` on merged states (which it consumes), `merge` and `split`."""
    merge, split = make_merging(like)

    def learn_merged(
        merged: MergedArrays, minibatches: Any, factor: Any, inputs: BlockInputs
    ) -> tuple[MergedArrays, Any]:
        state = learn(split(merged), minibatches, factor, inputs)
        return merge(state), jax.vmap(flatten_parameters)(state.learner.online)

    return jax.jit(learn_merged, donate_argnums=0), jax.jit(merge), jax.jit(split)


_acting_parameters = jax.jit(lambda state: jax.vmap(flatten_parameters)(state.learner.online))


def _actor(config: Config, block: Block, spec: EnvSpec) -> Callable[[np.ndarray], Any] | None:
    """Return a function from flattened parameters to the acting network; None if XLA must evaluate it."""
    if not block.learner.network.plain_mlp:
        return None
    sizes = (spec.observation_size, *config.hidden, spec.num_actions)
    if not kernels_supported():
        return numpy_q_values(sizes)
    return make_actor(sizes, len(block.agents), config.num_envs)


def _to_numpy(draws: Draws, agents: int) -> Any:
    """Copy the randomness of the real agents to the host; keys stay on the device."""
    keys = draws.env_keys
    host = jax.tree.map(np.asarray, draws._replace(env_keys=None))
    return Draws(
        host.uniform[:, :, :agents],
        host.action[:, :, :agents],
        host.replay_bits[:, :, :agents],
        None if keys is None else keys[:, :, :agents],
    )
