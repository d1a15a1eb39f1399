"""The driver for environments that are stepped from Python, while the block learns."""

from __future__ import annotations

import math
import time
from typing import Any

import jax
import numpy as np

from softstep.config import Config
from softstep.envs import HostEnvs, Step
from softstep.errors import EnvironmentFailed, in_words
from softstep.learner.contract import UpdateNoise
from softstep.records.events import FINISHED_EPISODE
from softstep.training.block import Block, BlockState
from softstep.training.driver import finished_episodes, replay_window
from softstep.training.episode_statistics import (
    EndedEpisodes,
    EpisodeStatistics,
    add_rewards,
    close_episodes,
    initial_statistics,
)
from softstep.training.exploration import exploration_arrays, geometric_decay
from softstep.training.host_acting import make_host_acting
from softstep.training.host_learning import make_host_learning
from softstep.training.program_cache import ProgramCache
from softstep.training.randomness import Draws, drawn_ahead
from softstep.training.replay import HostReplay
from softstep.training.replay_rows import discounts
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
        self._acting = make_host_acting(config, block, envs.spec, in_xla=xla_acting)
        self._width, spare = block.layout.width, config.steps_per_iteration
        self._ring = HostReplay(self._agents, replay_window(config), spare, self._width)
        self._lockstep = envs.spec.maker != "envpool"  # not every step of EnvPool is a transition
        self._learning = make_host_learning(config, block, cache or ProgramCache())
        self.statistics, self.iteration = initial_statistics(self._exploration, config.num_envs), 0
        self._acting.load(self._learning.acting_parameters())

    @property
    def state(self) -> BlockState:
        """The learning state."""
        return self._learning.state

    @state.setter
    def state(self, state: BlockState) -> None:
        self._learning.state = state

    def _padded(self, values: np.ndarray, axis: int = 0) -> np.ndarray:
        """Fill the block's empty slots with zeros."""
        empty = self._config.width - self._agents
        if not empty:
            return values
        widths = [(0, 0)] * values.ndim
        widths[axis] = (0, empty)
        return np.pad(values, widths)

    def advance(self, count: int, *, learning: bool, seconds: float = math.inf) -> np.ndarray:
        """Run up to `count` iterations."""
        finished, deadline = list[np.ndarray](), time.monotonic() + seconds
        draws = _to_numpy(self._block.draw(self.iteration), self._agents)
        scheduled = schedules(self._config, self._exploration, self.iteration, drawn_ahead(self._config))
        if learning:
            self._learning.begin(scheduled.learning_rate_factor, self.inputs)
        for n in range(count):
            draw = _iteration_draws(draws, n)
            if learning:
                minibatches = self._padded(self._ring.sample(draw.replay_bits), axis=1)
                noise = jax.tree.map(lambda numbers: self._padded(numbers, axis=1), draw.update_noise)
                self._learning.learn(n, minibatches, noise)
            finished += self._collect(draw, scheduled.epsilon[n], learning=learning)
            if learning:
                self._acting.load(self._learning.finish())
            self.iteration += 1
            if time.monotonic() > deadline:
                break
        return np.concatenate(finished) if finished else np.empty(0, FINISHED_EPISODE)

    def _collect(self, draw: Draws, linear_epsilon: Any, *, learning: bool) -> list[np.ndarray]:
        """Make the iteration's vector steps and store them.

        Args:
            draw: the iteration's randomness.
            linear_epsilon: ε (V, W) under the linear schedule.
            learning: whether learning has started.

        Returns: the episodes that finished at each vector step at which some did.
        """
        config, finished = self._config, list[np.ndarray]()
        rows, valid, counted = self._new_rows(), list[np.ndarray](), 0
        layout, keys = self._block.layout, draw.env_keys
        observation, action, reward, discount, next_observation = layout.columns(rows)
        discount[...] = 1
        if layout.n_step > 1:
            layout.ended(rows)[...] = 0
        self._acting.begin(draw, self._epsilon(linear_epsilon), learning=learning)
        for v in range(config.vector_steps):
            at = (self.iteration * config.vector_steps + v + 1) * config.num_envs
            actions = self._acting.actions(v, self._envs.observations)
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
            if layout.n_step > 1:
                layout.ended(rows)[v] = ended
            self.statistics, closed = close_episodes(np, self._decay, self.statistics, ended)
            this_step = EndedEpisodes(closed.returns[None], closed.lengths[None])
            finished.append(finished_episodes(this_step, np.array([at])))
            counted = v + 1
            if self._decay is not None:
                self._acting.begin(draw, self._epsilon(linear_epsilon), learning=learning)
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
        self._acting.load(self._learning.acting_parameters())
        return int(cut.sum())

    def close(self) -> None:
        """Close the environments."""
        self._envs.close()


def _iteration_draws(draws: Draws, n: int) -> Any:
    """Return the randomness of iteration number n of those drawn ahead."""
    noise = draws.update_noise
    return Draws(
        draws.explore[n],
        draws.action[n],
        draws.replay_bits[n],
        None if noise is None else UpdateNoise(noise.action[n], noise.next_action[n]),
        None if draws.env_keys is None else draws.env_keys[n],
    )


def _to_numpy(draws: Draws, agents: int) -> Any:
    """Copy the randomness of the real agents to the host; keys stay on the device."""
    keys = draws.env_keys
    host = jax.tree.map(lambda numbers: np.asarray(numbers)[:, :, :agents], draws._replace(env_keys=None))
    return host._replace(env_keys=None if keys is None else keys[:, :, :agents])
