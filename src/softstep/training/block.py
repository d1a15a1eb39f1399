"""A block: W agents in one compiled, single-device program. Arithmetic happens here and nowhere else.

An agent's bits depend on W, but not on its slot, its neighbours or the worker that runs the block. Randomness is
counter-based: every draw is a function of (seed, purpose, iteration), so nothing about it needs saving.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, UInt32

from softstep.config import Agent, Config
from softstep.learner.update import Hyper, Learner, LearnerState, target_gap
from softstep.training.td_target_drift import Drift, Probe, first_drift, moved, probed_targets, summary
from softstep.transition import unpack_rows

DRAWN_AHEAD = 64
"""Iterations whose randomness is drawn in one call."""

Made = TypeVar("Made")

_PURPOSES = ("init", "reset", "act", "replay", "env", "measure")


class Shared:
    """What the blocks of one configuration have in common: the first makes it, compiled programs above all."""

    def __init__(self) -> None:
        self._made = dict[Callable[..., Any], Any]()

    def __call__(self, make: Callable[..., Made], *of: Any) -> Made:
        """`make(*of)`, or what that gave before: `of` must mean the same for every block."""
        if make not in self._made:
            self._made[make] = make(*of)
        made: Made = self._made[make]
        return made


class BlockState(NamedTuple):
    """The learning half of a block."""

    learner: LearnerState  # leaves (W, ...)
    loss_sum: Float[Array, " W"]
    """Sum of the losses since the last record."""
    drift: Drift | None = None
    """How far y moved on the probe since the last record; None without a probe."""


class Draws(NamedTuple):
    """The randomness of N iterations."""

    uniform: Float[Array, "N V W E"]
    action: Int[Array, "N V W E"]
    words: UInt32[Array, "N U W B"]
    env_keys: Any
    """Keys (N, V, W, E) for compiled environments; else None."""


class Measures(NamedTuple):
    """What a record says of each agent beyond its returns and its loss."""

    q_mean: Float[Array, " W"]
    y_drift: Float[Array, " W"]
    y_rms: Float[Array, " W"]
    y_p99: Float[Array, " W"]
    y_sd: Float[Array, " W"]
    target_gap: Float[Array, " W"]
    diverged_at: Int[Array, " W"]


class Given(NamedTuple):
    """What tells one block from another; an argument of its programs, so that all blocks of a run share them."""

    seeds: UInt32[Array | np.ndarray, " W"]
    hyper: Hyper  # leaves (W,)
    probe: Probe | None
    """Transitions on which Δy is measured at every gradient step."""


class Block(NamedTuple):
    """W agents' programs."""

    learner: Learner
    agents: tuple[Agent, ...]
    given: Given
    init: Callable[[], BlockState]
    learn: Callable[[BlockState, Any, Any, Given], BlockState]
    """(state, minibatches (U, W, B, width), factor on α, given) → state after U gradient steps; for drivers to
    compile."""
    q_values: Callable[[Any, Any], Float[Array, "W E A"]]
    """(online parameters, observations (W, E, O)) → action values."""
    draw: Callable[[Any], Draws]
    """first iteration → the randomness of the next `DRAWN_AHEAD` iterations."""
    reset_keys: Callable[[], Key[Array, "W E"]]
    """Keys (W, E) of the environments' first reset."""
    measure_words: Callable[[Any], UInt32[Array, "1 W B"]]
    measure: Callable[[Given, BlockState, Float[Array, "W B width"]], Measures]
    """(given, state, minibatch) → measures; the state is kept."""


class Programs(NamedTuple):
    """A block's programs as functions of what is given, compiled but for `learn`; see `Block`."""

    init: Callable[[Given], BlockState]
    learn: Callable[[BlockState, Any, Any, Given], BlockState]
    q_values: Callable[[Any, Any], Float[Array, "W E A"]]
    draw: Callable[[Array | np.ndarray, Any], Draws]
    reset_keys: Callable[[Given], Key[Array, "W E"]]
    measure_words: Callable[[Given, Any], UInt32[Array, "1 W B"]]
    measure: Callable[[Given, BlockState, Float[Array, "W B width"]], Measures]


def make_block(
    config: Config,
    learner: Learner,
    agents: Sequence[Agent],
    observation_size: int,
    num_actions: int,
    probe: Probe | None = None,
    shared: Shared | None = None,
) -> Block:
    """The programs of up to W agents; empty slots are filled with copies of the first.

    `probe` holds the agents' probes (P, …), padded like them; without one Δy is measured at records only.
    """
    given = _given(config, agents, probe)
    programs = (shared or Shared())(make_programs, config, learner, observation_size, num_actions)
    return Block(
        learner=learner,
        agents=tuple(agents),
        given=given,
        init=partial(programs.init, given),
        learn=programs.learn,
        q_values=programs.q_values,
        draw=partial(programs.draw, given.seeds),
        reset_keys=partial(programs.reset_keys, given),
        measure_words=partial(programs.measure_words, given),
        measure=programs.measure,
    )


def make_programs(config: Config, learner: Learner, observation_size: int, num_actions: int) -> Programs:
    """The programs that all blocks of a configuration share."""

    def init(given: Given) -> BlockState:
        keys = jax.vmap(lambda seed: _key(seed, "init"))(given.seeds)
        fresh = jax.vmap(learner.init)(keys)
        drift = None if given.probe is None else first_drift(y_of(fresh, given))
        return BlockState(fresh, jnp.zeros(config.width), drift)

    def y_of(state: LearnerState, given: Given) -> Array:
        return jax.vmap(lambda *each: probed_targets(learner, *each))(state, given.probe, given.hyper)

    def learn(state: BlockState, minibatches: Array, factor: Array, given: Given) -> BlockState:
        now = given.hyper._replace(learning_rate=given.hyper.learning_rate * factor)

        def once(state: BlockState, rows: Array) -> tuple[BlockState, None]:
            new, loss = jax.vmap(learner.update)(state.learner, unpack_rows(rows, observation_size), now)
            drift = None if state.drift is None else moved(state.drift, y_of(new, given))
            return BlockState(new, state.loss_sum + loss, drift), None

        return jax.lax.scan(once, state, minibatches)[0]

    def reset_keys(given: Given) -> Key[Array, "W E"]:
        return jax.vmap(lambda seed: jax.random.split(_key(seed, "reset"), config.num_envs))(given.seeds)

    def measure_words(given: Given, step: Array) -> Array:
        shape = (1, config.batch_size)
        return jax.vmap(lambda seed: _words(seed, "measure", step, shape), out_axes=1)(given.seeds)

    def measure(given: Given, state: BlockState, rows: Array) -> Measures:
        batch = unpack_rows(rows, observation_size)
        found = jax.vmap(lambda *each: _measure(learner, *each))(state.learner, batch, given.hyper)
        return found if state.drift is None else found._replace(**summary(state.drift)._asdict())

    return Programs(
        init=jax.jit(init),
        learn=learn,
        q_values=jax.jit(jax.vmap(learner.network.batch)),
        draw=jax.jit(partial(_draw, config, num_actions)),
        reset_keys=jax.jit(reset_keys),
        measure_words=jax.jit(measure_words),
        measure=jax.jit(measure),
    )


def _given(config: Config, agents: Sequence[Agent], probe: Probe | None) -> Given:
    """The agents' own numbers, with copies of the first agent's in empty slots.

    Put together in NumPy: an eager operation on the device is a program to load, and there would be a dozen.
    """
    seeds = np.array([agent.seed for agent in filled(config, agents)], np.uint32)
    if probe is not None:
        empty = config.width - len(agents)
        probe = jax.tree.map(lambda a: np.concatenate([a, *[a[:1]] * empty]), probe)
    given: Given = jax.device_put(Given(seeds, block_hyper(config, agents), probe))
    return given


def filled(config: Config, agents: Sequence[Agent]) -> tuple[Agent, ...]:
    """The agents, and copies of the first in the block's empty slots."""
    return (*agents, *[agents[0]] * (config.width - len(agents)))


def since_record(state: BlockState) -> BlockState:
    """The state with the sums since the last record at zero."""
    drift = None if state.drift is None else first_drift(state.drift.y)
    return state._replace(loss_sum=jnp.zeros_like(state.loss_sum), drift=drift)


def block_hyper(config: Config, agents: Sequence[Agent]) -> Hyper:
    """The agents' own numbers as arrays (W,) on the device."""
    agents = filled(config, agents)
    hyper: Hyper = jax.device_put(
        Hyper(
            learning_rate=np.array([agent.learning_rate for agent in agents], np.float32),
            tau=np.array([agent.target.tau for agent in agents], np.float32),
            period=np.array([agent.target.period for agent in agents], np.int32),
            gamma=np.array([agent.gamma for agent in agents], np.float32),
            blended=np.array([agent.blended for agent in agents]),
        )
    )
    return hyper


def _measure(learner: Learner, state: LearnerState, batch: Any, hyper: Hyper) -> Measures:
    """One agent's measures on one minibatch.

    Δy is taken over the minibatch between the state's target network and the one after one more gradient step and
    blend; that step is not kept. y is Q-learning's plain maximum, whatever `double_q` says.
    """
    values = learner.network.batch
    after, _ = learner.update(state, batch, hyper)

    def bootstrapped(params: Any) -> Array:
        return hyper.gamma * batch.discount * jnp.max(values(params, batch.next_observation), axis=-1)

    now, change = bootstrapped(state.target), bootstrapped(after.target) - bootstrapped(state.target)
    return Measures(
        q_mean=jnp.mean(jnp.max(values(state.online, batch.observation), axis=-1)),
        y_drift=jnp.mean(jnp.abs(change)),
        y_rms=jnp.sqrt(jnp.mean(change**2)),
        y_p99=jnp.quantile(jnp.abs(change), 0.99),
        y_sd=jnp.std(batch.reward + now),
        target_gap=target_gap(state),
        diverged_at=state.diverged_at,
    )


def _key(seed: Array, purpose: str) -> PRNGKeyArray:
    """One key per seed and purpose, split off once."""
    return jax.random.fold_in(jax.random.key(seed), _PURPOSES.index(purpose))


def _words(seed: Array, purpose: str, count: Array, shape: tuple[int, ...]) -> Array:
    return jax.random.bits(jax.random.fold_in(_key(seed, purpose), count), shape, jnp.uint32)


def _draw(config: Config, num_actions: int, seeds: Array, first: Array) -> Draws:
    acts = (config.vector_steps, config.num_envs)

    def one(iteration: Array, seed: Array) -> Draws:
        chance, choice = jax.random.split(jax.random.fold_in(_key(seed, "act"), iteration))
        env_key = jax.random.fold_in(_key(seed, "env"), iteration)
        return Draws(
            uniform=jax.random.uniform(chance, acts),
            action=jax.random.randint(choice, acts, 0, num_actions),
            words=_words(seed, "replay", iteration, (config.updates, config.batch_size)),
            env_keys=jax.random.split(env_key, acts) if config.env.startswith("gymnax:") else None,
        )

    agents = jax.vmap(one, in_axes=(None, 0), out_axes=1)
    return jax.vmap(agents, in_axes=(0, None))(first + jnp.arange(DRAWN_AHEAD), seeds)
