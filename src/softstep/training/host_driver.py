"""One step body, two drivers: the only code that steps environments in training.

An *iteration* is V vector steps of E environments and U gradient steps. The learner draws its minibatches from the
replay as it stood when the iteration began, so that collecting and learning can overlap and no result depends on
whether they do: the newest V·E transitions reach the learner one iteration later.

`FusedDriver` runs iterations inside one compiled program (gymnax); `HostDriver` steps environments in Python while
the update runs. On the same environment and seeds both give the same numbers, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from softstep.config import Config
from softstep.envs import CompiledEnv, EnvSpec, HostEnvs, Step
from softstep.kernels.acting import make_actor
from softstep.kernels.support import kernels_supported
from softstep.learner.networks import numpy_q_values, pack
from softstep.records.events import EnvironmentFailed, Finished
from softstep.training import replay as rp
from softstep.training.block import DRAWN_AHEAD, Block, BlockState, Draws, Given, Shared, filled
from softstep.training.exploration import (
    Ended,
    Explores,
    Schedule,
    Walk,
    behaviour,
    choose,
    discounts,
    falling,
    first_walk,
    make_rows,
    schedule,
    settle,
    walked,
)
from softstep.training.packing import Flat, codec
from softstep.transition import columns, row_width


@runtime_checkable
class Driver(Protocol):
    """Runs iterations of one block."""

    state: BlockState
    iteration: int
    given: Given
    """The agents' numbers, which may change between iterations."""

    @property
    def walk(self) -> Walk:
        """The behaviour's half, of the real agents."""
        ...

    def advance(self, count: int, *, learning: bool) -> list[Finished]:
        """Run `count` ≤ DRAWN_AHEAD iterations; the episodes that finished, in order of time."""
        ...

    def minibatch(self, words: Any) -> Any:
        """The replay rows (1, W, B, width) that `words` pick."""
        ...

    def new_rows(self, mark: np.ndarray) -> list[np.ndarray]:
        """The rows each agent wrote since `mark` rows, the oldest first."""
        ...

    def written(self) -> np.ndarray:
        """Rows ever written to each agent's replay."""
        ...

    def snapshot(self) -> dict[str, np.ndarray]:
        """Everything but the replay's rows, as arrays."""
        ...

    def restore(self, arrays: dict[str, np.ndarray], rows: list[np.ndarray], iteration: int) -> None:
        """Return to a snapshot; `rows` are each agent's newest replay rows, at most a full ring."""
        ...

    def close(self) -> None:
        """Free the environments."""
        ...


def capacity(config: Config) -> int:
    """Rows a ring remembers: the memory, rounded down to whole iterations so that a write never wraps inside."""
    return max(1, config.memory_size // config.steps_per_iteration) * config.steps_per_iteration


class HostDriver:
    """Steps host environments while the block learns."""

    def __init__(
        self, config: Config, block: Block, envs: HostEnvs, shared: Shared | None = None, *, xla_acting: bool = False
    ) -> None:
        self._config, self._block, self._envs, self.given = config, block, envs, block.given
        self._agents = len(block.agents)
        self._behaviour = behaviour([agent.exploration for agent in block.agents], config.num_envs)
        self._falling = falling(config, self._behaviour)
        self._load = None if xla_acting else _actor(config, block, envs.spec)
        self._width = row_width(envs.spec.observation_size)
        self._ring = rp.HostReplay(self._agents, capacity(config), config.steps_per_iteration, self._width)
        self._lockstep = envs.spec.maker != "envpool"  # whose steps are not all transitions
        state = block.init()
        self._learn, self._flatten, self._unflatten = (shared or Shared())(_flat_programs, block.learn, state)
        self.state, self.walk, self.iteration = state, first_walk(self._behaviour, config.num_envs), 0
        self._act_with(_packed(state))

    @property
    def state(self) -> BlockState:
        """The learning half."""
        return self._unflatten(self._flat)

    @state.setter
    def state(self, state: BlockState) -> None:
        self._flat: Flat = self._flatten(state)

    def _act_with(self, packed: Any) -> None:
        """Make the state's online parameters the ones that act; waits until they are computed."""
        if self._load is not None:
            self._values = self._load(np.asarray(packed)[: self._agents])
        else:
            online = self.state.learner.online
            self._values = lambda o: np.asarray(self._block.q_values(online, self._padded(o)))[: self._agents]

    def _padded(self, values: np.ndarray, axis: int = 0) -> np.ndarray:
        """Zeros in the block's empty slots."""
        empty = self._config.width - self._agents
        if not empty:
            return values
        widths = [(0, 0)] * values.ndim
        widths[axis] = (0, empty)
        return np.pad(values, widths)

    def advance(self, count: int, *, learning: bool) -> list[Finished]:
        """Run `count` iterations."""
        finished = list[Finished]()
        draws = _to_numpy(self._block.draw(self.iteration), self._agents)
        now = schedule(self._config, self._behaviour, self.iteration, count)
        for n in range(count):
            packed = None
            if learning:
                minibatches = self._padded(self._ring.sample(draws.words[n]), axis=1)
                self._flat, packed = self._learn(self._flat, minibatches, now.rate[n], self.given)
            keys = None if draws.env_keys is None else draws.env_keys[n]
            finished += self._collect(draws.uniform[n], draws.action[n], keys, now.epsilon[n])
            if packed is not None:
                self._act_with(packed)
            self.iteration += 1
        return finished

    def _collect(self, uniform: np.ndarray, random_action: np.ndarray, keys: Any, linear: Any) -> list[Finished]:
        """The iteration's vector steps, remembered; the episodes that finished."""
        config, finished = self._config, list[Finished]()
        rows, valid, since = self._new_rows(), list[np.ndarray](), 0
        observed, acted, rewarded, discount, arrived = columns(rows, self._envs.observations.shape[-1])
        discount[...] = 1
        who = Explores(uniform, self.walk.epsilon[:, None] if self._falling else linear[:, :, None])
        for v in range(config.vector_steps):
            at = (self.iteration * config.vector_steps + v + 1) * config.num_envs
            actions = who.choose(v, random_action[v], self._envs.observations, self._values)
            observed[v], acted[v] = self._envs.observations, actions
            step = self._step(at, actions, None if keys is None else keys[v])
            rewarded[v], arrived[v] = step.reward, step.next_observation
            if step.valid is not None:
                valid.append(step.valid)
            if not step.some_ended:
                continue
            discount[v] = discounts(config, step)
            self._walk(rewarded[since : v + 1], valid[since:])
            self.walk, closed = settle(np, self._falling, self.walk, step.terminated | step.truncated)
            finished, since = finished + _finished(closed, at), v + 1
            if self._falling:
                who = Explores(uniform, self.walk.epsilon[:, None])
        self._walk(rewarded[since:], valid[since:])
        rewarded *= np.float32(config.reward_scale)
        for v, kept in enumerate(valid):
            self._ring.write(rows[v], kept)
        return finished

    def _walk(self, rewards: np.ndarray, valid: list[np.ndarray]) -> None:
        """Count vector steps that have been made."""
        if len(rewards):
            self.walk = walked(self.walk, rewards, np.array(valid) if valid else None)

    def _new_rows(self) -> np.ndarray:
        """Room for an iteration's rows (V, W, E, width): the ring's own, except where not all will be kept."""
        config = self._config
        shape = (self._agents, config.vector_steps, config.num_envs, self._width)
        room = self._ring.claim(config.steps_per_iteration) if self._lockstep else np.empty(shape, np.float32)
        return room.reshape(shape).transpose(1, 0, 2, 3)

    def _step(self, at: int, actions: Any, keys: Any) -> Step:
        """Step the environments to environment step `at`."""
        try:
            return self._envs.step(actions, keys)
        except Exception as error:
            message = f"{self._config.env} failed at environment step {at}: {type(error).__name__}: {error}"
            raise EnvironmentFailed(message) from error

    def minibatch(self, words: Any) -> np.ndarray:
        """The replay rows that `words` pick."""
        return self._padded(self._ring.sample(np.asarray(words)[:, : self._agents]), axis=1)

    def new_rows(self, mark: np.ndarray) -> list[np.ndarray]:
        """The rows each agent wrote since `mark`."""
        return self._ring.since(mark)

    def written(self) -> np.ndarray:
        """Rows ever written."""
        return self._ring.written.copy()

    def snapshot(self) -> dict[str, np.ndarray]:
        """Learner, walk and environments."""
        envs = {f"env/{name}": array for name, array in self._envs.snapshot().items()}
        return _named("block", self.state) | _named("walk", self.walk) | envs | {"written": self.written()}

    def restore(self, arrays: dict[str, np.ndarray], rows: list[np.ndarray], iteration: int) -> None:
        """Return to a snapshot."""
        self.state = _unnamed("block", self.state, arrays)
        self.walk = Walk(*(np.array(arrays[f"walk/{i:03}"]) for i in range(len(Walk._fields))))
        self.iteration = iteration
        self._envs.restore({k.removeprefix("env/"): v for k, v in arrays.items() if k.startswith("env/")})
        if not self._envs.spec.exactly_resumable:  # new episodes have begun
            self.walk = self.walk._replace(returns=0 * self.walk.returns, lengths=0 * self.walk.lengths)
        for agent, (total, newest) in enumerate(zip(arrays["written"], rows, strict=True)):
            self._ring.put(agent, int(total) - len(newest), newest)
        self._ring.written[:] = arrays["written"]
        self._act_with(_packed(self.state))

    def close(self) -> None:
        """Close the environments."""
        self._envs.close()


class Carry(NamedTuple):
    """What the compiled loop carries."""

    state: BlockState
    replay: rp.DeviceReplay
    env_state: Any
    observations: Any
    walk: Walk


class FusedDriver:
    """Runs whole iterations inside one compiled program."""

    def __init__(self, config: Config, block: Block, env: CompiledEnv, shared: Shared | None = None) -> None:
        self._config, self._block, self._agents, self.given = config, block, len(block.agents), block.given
        programs = (shared or Shared())(_fused_programs, config, block, env)
        reset, self._chunk, self._sample, self._rows_at = programs
        env_state, observations = reset(block.reset_keys())
        width = row_width(env.spec.observation_size)
        slots = capacity(config) + config.steps_per_iteration
        ring = jax.device_put(np.zeros((config.width, slots, width), np.float32))
        self._behaviour = behaviour([agent.exploration for agent in filled(config, block.agents)], config.num_envs)
        first = first_walk(self._behaviour, config.num_envs), np.int32(0), falling(config, self._behaviour)
        walk, written, self._falling = jax.device_put(first)
        self._carry = Carry(block.init(), rp.DeviceReplay(ring, written), env_state, observations, walk)
        self.iteration = 0

    @property
    def state(self) -> BlockState:
        """The learning half."""
        return self._carry.state

    @state.setter
    def state(self, state: BlockState) -> None:
        self._carry = self._carry._replace(state=state)

    @property
    def walk(self) -> Walk:
        """The behaviour's half, real agents only."""
        return jax.tree.map(lambda a: np.array(a[: self._agents]), self._carry.walk)

    def advance(self, count: int, *, learning: bool) -> list[Finished]:
        """Run `count` iterations."""
        config = self._config
        now = schedule(config, self._behaviour, self.iteration, DRAWN_AHEAD)
        draws = self._block.draw(self.iteration)
        self._carry, closed = self._chunk(self._carry, draws, now, self._falling, count, self.given, learning=learning)
        lengths = np.asarray(closed.lengths)[:count, :, : self._agents]
        returns = np.asarray(closed.returns)[:count, :, : self._agents]
        finished = list[Finished]()
        for n, v in np.argwhere(lengths.any((2, 3))):
            at = ((self.iteration + n) * config.vector_steps + v + 1) * config.num_envs
            finished += _finished(Ended(returns[n, v], lengths[n, v]), int(at))
        self.iteration += count
        return finished

    def minibatch(self, words: Any) -> Any:
        """The replay rows that `words` pick."""
        return self._sample(self._carry.replay, words, self._carry.replay.written)

    def new_rows(self, mark: np.ndarray) -> list[np.ndarray]:
        """The rows each agent wrote since `mark`."""
        slots = self._carry.replay.rows.shape[1]
        total = int(self._carry.replay.written)
        at = np.arange(max(int(mark[0]), total - capacity(self._config)), total) % slots
        padded = np.resize(at, max(1, -(-len(at) // 1024)) * 1024) if len(at) else np.zeros(1024, int)
        return list(np.asarray(self._rows_at(self._carry.replay.rows, padded))[: self._agents, : len(at)])

    def written(self) -> np.ndarray:
        """Rows ever written."""
        return np.full(self._agents, int(self._carry.replay.written), np.int64)

    def snapshot(self) -> dict[str, np.ndarray]:
        """Learner, walk and environments."""
        parts = self._carry._replace(replay=None)  # type: ignore[arg-type]
        return _named("carry", parts) | {"written": self.written()}

    def restore(self, arrays: dict[str, np.ndarray], rows: list[np.ndarray], iteration: int) -> None:
        """Return to a snapshot."""
        ring = np.zeros(self._carry.replay.rows.shape, np.float32)
        total = int(arrays["written"][0])
        for slot in range(len(ring)):
            newest = rows[slot if slot < self._agents else 0]
            ring[slot, np.arange(total - len(newest), total) % ring.shape[1]] = newest
        parts: Carry = _unnamed("carry", self._carry._replace(replay=None), arrays)  # type: ignore[arg-type]
        self._carry = parts._replace(replay=rp.DeviceReplay(jnp.array(ring), jnp.int32(total)))
        self.iteration = iteration

    def close(self) -> None:
        """Nothing to free."""


def _fused_programs(config: Config, block: Block, env: CompiledEnv) -> tuple[Callable[..., Any], ...]:
    """Compiled: the environments' first reset, `fused_chunk`, `replay.sample`, and rows of all rings at some slots."""
    return (
        jax.jit(jax.vmap(jax.vmap(env.reset))),
        jax.jit(partial(fused_chunk, config, block, env), static_argnames="learning", donate_argnums=0),
        jax.jit(partial(rp.sample, capacity=capacity(config))),
        jax.jit(lambda rows, at: rows[:, at]),
    )


def fused_chunk(
    config: Config,
    block: Block,
    env: CompiledEnv,
    carry: Carry,
    draws: Draws,
    now: Schedule,
    falling: tuple[Any, Any] | None,
    count: Any,
    given: Given,
    *,
    learning: bool,
) -> tuple[Carry, Ended]:
    """`count` iterations of the step body as one loop; the episodes that ended, (DRAWN_AHEAD, V, W, E)."""

    randomness = jax.vmap(jax.vmap(jax.vmap(jax.vmap(env.draw_randomness))))(draws.env_keys)  # N, V, W, E

    def vector_step(carry: Carry, given: tuple[Draws, Any, Any]) -> tuple[Carry, tuple[Any, Ended]]:
        draw, step_randomness, epsilon = given
        values = block.q_values(carry.state.learner.online, carry.observations)
        epsilons = epsilon if falling is None else carry.walk.epsilon
        actions = choose(jnp, values, draw.uniform < epsilons[:, None], draw.action)
        step = jax.vmap(jax.vmap(env.step))(step_randomness, carry.env_state, actions)
        rows = make_rows(config, carry.observations, actions, step)
        walk = carry.walk._replace(returns=carry.walk.returns + step.reward, lengths=carry.walk.lengths + 1)
        walk, closed = settle(jnp, falling, walk, step.terminated | step.truncated)
        after = carry._replace(env_state=step.state, observations=step.observation, walk=walk)
        return after, (rows, closed)

    def iteration(n: Any, loop: tuple[Carry, Ended]) -> tuple[Carry, Ended]:
        carry, ended = loop
        draw, drawn = jax.tree.map(lambda a: a[n], (draws._replace(env_keys=None), randomness))
        walked, (rows, closed) = jax.lax.scan(vector_step, carry, (draw._replace(words=None), drawn, now.epsilon[n]))
        new = jnp.moveaxis(rows, 0, 1).reshape(config.width, config.steps_per_iteration, -1)
        replay, state = rp.write(carry.replay, new), carry.state
        if learning:  # reads after the write: the other way round XLA copies the whole ring at every iteration
            minibatches = rp.sample(replay, draw.words, carry.replay.written, capacity(config))
            state = block.learn(state, minibatches, now.rate[n], given)
        ended = jax.tree.map(lambda all_, one: all_.at[n].set(one), ended, closed)
        return walked._replace(state=state, replay=replay), ended

    each = (DRAWN_AHEAD, config.vector_steps, config.width, config.num_envs)
    none = Ended(jnp.zeros(each, jnp.float32), jnp.zeros(each, jnp.int32))
    return jax.lax.fori_loop(0, count, iteration, (carry, none))


def _flat_programs(
    learn: Callable[..., BlockState], like: BlockState
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """Compiled `learn` over flat states (which it consumes), `flatten` and `unflatten`."""
    flatten, unflatten = codec(like)

    def learn_flat(flat: Flat, minibatches: Any, factor: Any, given: Given) -> tuple[Flat, Any]:
        state = learn(unflatten(flat), minibatches, factor, given)
        return flatten(state), jax.vmap(pack)(state.learner.online)

    return jax.jit(learn_flat, donate_argnums=0), jax.jit(flatten), jax.jit(unflatten)


_packed = jax.jit(lambda state: jax.vmap(pack)(state.learner.online))


def _actor(config: Config, block: Block, spec: EnvSpec) -> Callable[[np.ndarray], Any] | None:
    if not block.learner.network.plain_mlp:
        return None
    sizes = (spec.observation_size, *config.hidden, spec.num_actions)
    if not kernels_supported():
        return numpy_q_values(sizes)
    return make_actor(sizes, len(block.agents), config.num_envs)


def _to_numpy(draws: Draws, agents: int) -> Any:
    """The randomness of the real agents, on the host; keys stay as they are."""
    keys = draws.env_keys
    host = jax.tree.map(np.asarray, draws._replace(env_keys=None))
    return Draws(
        host.uniform[:, :, :agents],
        host.action[:, :, :agents],
        host.words[:, :, :agents],
        None if keys is None else keys[:, :, :agents],
    )


def _finished(closed: Ended, env_steps: int) -> list[Finished]:
    return [
        Finished(int(agent), env_steps, float(closed.returns[agent, env]), int(closed.lengths[agent, env]))
        for agent, env in np.argwhere(closed.lengths)
    ]


def _named(prefix: str, tree: Any) -> dict[str, np.ndarray]:
    """A pytree's leaves by number."""
    leaves = enumerate(jax.tree.leaves(tree))
    return {f"{prefix}/{i:03}": np.array(jax.random.key_data(x) if _is_key(x) else x) for i, x in leaves}


def _unnamed(prefix: str, like: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The pytree that `_named` took apart, shaped `like` this one."""
    leaves, structure = jax.tree.flatten(like)
    return jax.tree.unflatten(structure, [jnp.array(arrays[f"{prefix}/{i:03}"]) for i in range(len(leaves))])


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
