"""The driver for compiled environments (gymnax): whole iterations inside one program."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softstep.config import Config
from softstep.envs import CompiledEnv
from softstep.errors import EnvironmentFailed
from softstep.learner.networks import flatten_parameters
from softstep.training.block import Block, BlockInputs, BlockState, padded_agents
from softstep.training.driver import finished_episodes, replay_capacity, replay_window
from softstep.training.episode_statistics import (
    EndedEpisodes,
    EpisodeStatistics,
    close_episodes,
    initial_statistics,
)
from softstep.training.exploration import GeometricDecay, epsilon_greedy, exploration_arrays, geometric_decay
from softstep.training.program_cache import ProgramCache
from softstep.training.randomness import Draws, drawn_ahead
from softstep.training.replay import DeviceReplay, sample, write
from softstep.training.replay_rows import RowLayout
from softstep.training.schedules import Schedules, schedules
from softstep.training.snapshots import from_arrays, from_numbered_arrays, to_arrays


class LoopState(NamedTuple):
    """What the compiled loop carries from iteration to iteration."""

    state: BlockState
    replay: DeviceReplay
    env_state: Any
    observations: Any
    statistics: EpisodeStatistics


class FusedDriver:
    """Runs whole iterations inside one compiled program."""

    def __init__(self, config: Config, block: Block, env: CompiledEnv, cache: ProgramCache | None = None) -> None:
        self._config, self._block, self._agents, self.inputs = config, block, len(block.agents), block.inputs
        programs = (cache or ProgramCache()).get(_fused_programs, config, block, env)
        reset, self._run, self._sample, self._rows_at, self._finite_at = programs
        env_state, observations = reset(block.reset_keys())
        width = block.layout.width
        slots = replay_capacity(config) + config.steps_per_iteration
        ring = jax.device_put(np.zeros((config.width, slots, width), np.float32))
        explorations = [agent.exploration for agent in padded_agents(config, block.agents)]
        self._exploration = exploration_arrays(explorations, config.num_envs)
        statistics = initial_statistics(self._exploration, config.num_envs)
        initial = statistics, np.int32(0), geometric_decay(config, self._exploration)
        statistics, written, self._decay = jax.device_put(initial)
        self._loop = LoopState(block.init(), DeviceReplay(ring, written), env_state, observations, statistics)
        self.iteration, self._checked = 0, self.written()
        self._learning, self._iteration_seconds = False, math.inf
        """Whether the last call took gradient steps, and the time of one of its iterations."""

    @property
    def state(self) -> BlockState:
        """The learning state."""
        return self._loop.state

    @state.setter
    def state(self, state: BlockState) -> None:
        self._loop = self._loop._replace(state=state)

    @property
    def statistics(self) -> EpisodeStatistics:
        """Episode statistics of the real agents."""
        return jax.tree.map(lambda a: np.array(a[: self._agents]), self._loop.statistics)

    def advance(self, count: int, *, learning: bool, seconds: float = math.inf) -> np.ndarray:
        """Run up to `count` iterations: a compiled loop cannot look at the clock, so `seconds` limits their number.

        As long as their time is unknown, it limits it to one.
        """
        config, started = self._config, time.monotonic()
        count = min(count, replay_capacity(config) // config.steps_per_iteration)  # overwrite no unchecked row
        if learning != self._learning:
            self._learning, self._iteration_seconds = learning, math.inf
        if count * self._iteration_seconds > seconds:
            count = max(1, int(seconds / self._iteration_seconds))
        unchecked = int(self._loop.replay.written) - int(self._checked[0])
        if unchecked + count * config.steps_per_iteration > replay_capacity(config):
            self.check()
        scheduled = schedules(config, self._exploration, self.iteration, drawn_ahead(config))
        draws = self._block.draw(self.iteration)
        self._loop, ended = self._run(self._loop, draws, scheduled, self._decay, count, self.inputs, learning=learning)
        steps = count * config.vector_steps
        shape = (steps, config.width, config.num_envs)
        returns, lengths = (np.asarray(part)[:count].reshape(shape)[:, : self._agents] for part in ended)
        at = (self.iteration * config.vector_steps + np.arange(steps) + 1) * config.num_envs
        finished = finished_episodes(EndedEpisodes(returns, lengths), at)
        self.iteration += count
        self._iteration_seconds = (time.monotonic() - started) / count
        return finished

    def minibatch(self, random_bits: Any) -> Any:
        """Return the replay rows that `random_bits` pick."""
        return self._sample(self._loop.replay, random_bits, self._loop.replay.written)

    def check(self) -> None:
        """Raise EnvironmentFailed if a row written since the last check holds a number that is not finite.

        A separate program looks for it: within the loop it might change the last bits of the results.
        """
        at, _ = self._slots_since(self._checked)
        if not self._finite_at(self._loop.replay.rows, at)[: self._agents].all():
            env_steps = self.iteration * self._config.steps_per_iteration
            refuse_bad_rows(self._config, self._block.layout, self.new_rows(self._checked), env_steps)
        self._checked = self.written()

    def new_rows(self, mark: np.ndarray, until: np.ndarray | None = None) -> list[np.ndarray]:
        """Return the rows each agent wrote between two counts."""
        at, count = self._slots_since(mark, until)
        return list(np.asarray(self._rows_at(self._loop.replay.rows, at))[: self._agents, :count])

    def _slots_since(self, mark: np.ndarray, until: np.ndarray | None = None) -> tuple[np.ndarray, int]:
        """Return the slots of the rows written between two counts and their number.

        They are repeated up to a multiple of 1024, so that few programs are compiled; without any, slot 0 is.
        """
        slots = self._loop.replay.rows.shape[1]
        total = int(self._loop.replay.written if until is None else until[0])
        at = np.arange(max(int(mark[0]), total - replay_capacity(self._config)), total) % slots
        padded = np.resize(at, max(1, -(-len(at) // 1024)) * 1024) if len(at) else np.zeros(1024, int)
        return padded, len(at)

    def written(self) -> np.ndarray:
        """Return the number of rows ever written."""
        return np.full(self._agents, int(self._loop.replay.written), np.int64)

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return learner, episode statistics and environments as arrays."""
        loop, names = self._loop, self._block.learner.network.parameter_names
        env = {"state": loop.env_state, "observations": loop.observations}
        statistics = to_arrays(loop.statistics, "episode_statistics/", names)
        return to_arrays(loop.state, "", names) | statistics | to_arrays(env, "env/", ()) | {"written": self.written()}

    def restore(self, arrays: dict[str, np.ndarray], rows: list[np.ndarray], iteration: int) -> int:
        """Return to a snapshot; no environment starts a new episode."""
        ring = np.zeros(self._loop.replay.rows.shape, np.float32)
        total = int(arrays["written"][0])
        for slot in range(len(ring)):
            newest = rows[slot if slot < self._agents else 0]
            ring[slot, np.arange(total - len(newest), total) % ring.shape[1]] = newest
        loop = self._read_numbered(arrays) if "carry/000" in arrays else self._read(arrays)
        self._loop = loop._replace(replay=DeviceReplay(jnp.array(ring), jnp.int32(total)))
        self.iteration, self._checked = iteration, self.written()
        return 0

    def _read(self, arrays: dict[str, np.ndarray]) -> LoopState:
        loop, names = self._loop, self._block.learner.network.parameter_names
        env = from_arrays({"state": loop.env_state, "observations": loop.observations}, "env/", (), arrays)
        return loop._replace(
            state=from_arrays(loop.state, "", names, arrays),
            env_state=env["state"],
            observations=env["observations"],
            statistics=from_arrays(loop.statistics, "episode_statistics/", names, arrays),
        )

    def _read_numbered(self, arrays: dict[str, np.ndarray]) -> LoopState:
        """Read a checkpoint of version 1, which numbered all leaves except the replay's."""
        loop: LoopState = from_numbered_arrays(self._loop._replace(replay=None), "carry/", arrays)  # type: ignore[arg-type]
        return loop

    def close(self) -> None:
        """Do nothing: compiled environments hold no resources."""


def _fused_programs(config: Config, block: Block, env: CompiledEnv) -> tuple[Callable[..., Any], ...]:
    """Compile the environments' first reset, `run_iterations`, `replay.sample`, and two programs on rows at some slots.

    The first of the two returns the rows, the second says whether each agent's are finite.
    """
    return (
        jax.jit(jax.vmap(jax.vmap(env.reset))),
        jax.jit(partial(run_iterations, config, block, env), static_argnames="learning", donate_argnums=0),
        jax.jit(partial(sample, window=replay_window(config))),
        jax.jit(lambda rows, at: rows[:, at]),
        jax.jit(lambda rows, at: jnp.isfinite(rows[:, at]).all((1, 2))),
    )


def run_iterations(
    config: Config,
    block: Block,
    env: CompiledEnv,
    loop: LoopState,
    draws: Draws,
    scheduled: Schedules,
    decay: GeometricDecay | None,
    count: Any,
    inputs: BlockInputs,
    *,
    learning: bool,
) -> tuple[LoopState, EndedEpisodes]:
    """Run `count` ≤ `drawn_ahead` iterations of the step body as one loop; to be compiled.

    Args:
        config: the run's configuration.
        block: the agents' programs.
        env: the compiled environment.
        loop: the state before the first of these iterations.
        draws: the randomness of `drawn_ahead` iterations.
        scheduled: ε and the factor on α for the same iterations.
        decay: how ε falls per episode under the geometric schedule; None under the linear schedule.
        count: number of iterations.
        inputs: the agents' settings.
        learning: whether gradient steps are taken.

    Returns: the state afterwards, and the episodes that ended (N, V, W, E).
    """
    step_randomness = jax.vmap(jax.vmap(jax.vmap(jax.vmap(env.draw_randomness))))(draws.env_keys)  # N, V, W, E

    def iteration(n: Any, carry: tuple[LoopState, EndedEpisodes]) -> tuple[LoopState, EndedEpisodes]:
        loop, ended = carry
        draw, randomness = jax.tree.map(lambda a: a[n], (draws._replace(env_keys=None), step_randomness))
        per_step = (draw._replace(replay_bits=None, update_noise=None), randomness, scheduled.epsilon[n])
        act = _continuous(block, loop.state, learning) if config.continuous else partial(_epsilon_greedy, block)
        step = partial(_vector_step, config, block, env, decay, act)
        after, (rows, closed) = jax.lax.scan(step, loop, per_step)
        new = jnp.moveaxis(rows, 0, 1).reshape(config.width, config.steps_per_iteration, -1)
        replay, state = write(loop.replay, new), loop.state
        if learning:  # read after the write: in the other order XLA copies the whole ring at every iteration
            minibatches = sample(replay, draw.replay_bits, loop.replay.written, replay_window(config))
            state = block.learn(state, minibatches, scheduled.learning_rate_factor[n], inputs, draw.update_noise)
        ended = jax.tree.map(lambda all_, one: all_.at[n].set(one), ended, closed)
        return after._replace(state=state, replay=replay), ended

    shape = (len(draws.replay_bits), config.vector_steps, config.width, config.num_envs)
    none = EndedEpisodes(jnp.zeros(shape, jnp.float32), jnp.zeros(shape, jnp.int32))
    return jax.lax.fori_loop(0, count, iteration, (loop, none))


Act = Callable[[LoopState, Draws, Any], Any]
"""(state, one vector step's randomness, ε (W,)) → actions (W, E) or (W, E, A)."""


def _epsilon_greedy(block: Block, loop: LoopState, draw: Draws, epsilon: Any) -> Any:
    """Return random actions with probability ε, else those with the largest value."""
    values = block.outputs(loop.state.learner.online, loop.observations)
    return epsilon_greedy(jnp, values, draw.explore < epsilon[:, None], draw.action)


def _continuous(block: Block, state: BlockState, learning: bool) -> Act:
    """Return how actors act in an iteration: at random until learning starts, then with their heads' noise."""
    if not learning:
        return lambda _loop, draw, _epsilon: draw.action
    packed = jax.vmap(flatten_parameters)(block.learner.acting_parameters(state.learner.online))
    return lambda loop, draw, _epsilon: block.explore(packed, loop.observations, draw.explore)


def _vector_step(
    config: Config,
    block: Block,
    env: CompiledEnv,
    decay: GeometricDecay | None,
    act: Act,
    loop: LoopState,
    drawn: tuple[Draws, Any, Any],
) -> tuple[LoopState, tuple[Any, EndedEpisodes]]:
    """Step all environments once.

    Args:
        config: the run's configuration.
        block: the agents' programs.
        env: the compiled environment.
        decay: how ε falls per episode under the geometric schedule; None under the linear schedule.
        act: chooses the actions.
        loop: the state before the step.
        drawn: the step's randomness, that of the environments, and the linear schedule's ε (W,).

    Returns: the state afterwards, and the replay rows (W, E, width) with the episodes that ended.
    """
    draw, step_randomness, linear_epsilon = drawn
    actions = act(loop, draw, linear_epsilon if decay is None else loop.statistics.epsilon)
    step = jax.vmap(jax.vmap(env.step))(step_randomness, loop.env_state, actions)
    rows = block.layout.rows(config, loop.observations, actions, step)
    returns, lengths = loop.statistics.returns + step.reward, loop.statistics.lengths + 1
    statistics = loop.statistics._replace(returns=returns, lengths=lengths)
    statistics, closed = close_episodes(jnp, decay, statistics, step.terminated | step.truncated)
    after = loop._replace(env_state=step.state, observations=step.observation, statistics=statistics)
    return after, (rows, closed)


def refuse_bad_rows(config: Config, layout: RowLayout, rows: Sequence[np.ndarray], env_steps: int) -> None:
    """Raise EnvironmentFailed for a number that is not finite in the agents' newest replay rows.

    Args:
        config: the run's configuration.
        layout: where the parts of a transition stand in a row.
        rows: each agent's rows, oldest first.
        env_steps: the environment step of the last ones.
    """
    for agent in rows:
        bad = np.argwhere(~np.isfinite(agent))
        if not len(bad):
            continue
        row, column = bad[0].tolist()
        scaled = "" if config.reward_scale == 1 else f", times reward_scale = {config.reward_scale},"
        quantity = f"reward{scaled}" if column == layout.reward_column else "observation"
        step = env_steps - (len(agent) - row - 1) // config.num_envs * config.num_envs
        raise EnvironmentFailed(
            f"{config.env} failed at environment step {step}: its {quantity} is {agent[row, column]}, which is not a"
            " finite number of float32"
        )
