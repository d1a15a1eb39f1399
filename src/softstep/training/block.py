"""A block: W agents in one compiled, single-device program. All arithmetic of training happens here.

An agent's bits depend on W, but not on its slot, its neighbours or the worker that runs the block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt32

from softstep.config import Config
from softstep.kernels.acting import Actor, explore_in_xla
from softstep.kernels.support import kernels_supported
from softstep.learner.contract import Hyper, Learner, LearnerState, UpdateNoise
from softstep.learner.heads import LOG_SD_MAX, LOG_SD_MIN
from softstep.learner.networks import unflatten_parameters
from softstep.settings import Agent
from softstep.training.measures import Measures, measure
from softstep.training.program_cache import ProgramCache
from softstep.training.randomness import Draws, draw, key_for, measure_bits, reset_keys
from softstep.training.replay_rows import RowLayout, row_layout
from softstep.training.td_target_drift import Probe, TdTargetDrift, add_step, initial_drift, probe_targets, summarize


class BlockState(NamedTuple):
    """The learning state of a block."""

    learner: LearnerState  # leaves (W, ...)
    loss_sum: Float[Array, " W"]
    """Sum of the losses since the last record."""
    drift: TdTargetDrift | None = None
    """How far y has moved on the probe since the last record; None without a probe."""


class BlockInputs(NamedTuple):
    """What distinguishes blocks of a run; an argument of the programs, so that all blocks share them."""

    seeds: UInt32[Array | np.ndarray, " W"]
    hyper: Hyper  # leaves (W,)
    probe: Probe | None
    """Transitions on which Δy is measured at every gradient step."""


class Block(NamedTuple):
    """The programs of W agents."""

    learner: Learner
    agents: tuple[Agent, ...]
    inputs: BlockInputs
    init: Callable[[], BlockState]
    layout: RowLayout
    """Where the parts of a transition stand in a replay row."""
    learn: Callable[..., BlockState]
    """(state, minibatches (U, W, B, width), factor on α, inputs, noise = None) → state after U gradient steps; drivers
    compile it. `noise` is an `UpdateNoise` with leaves (U, W, B, A)."""
    outputs: Callable[[Any, Any], Float[Array, "W E outputs"]]
    """(parameters of the acting network, observations (W, E, O)) → its outputs: action values, or an actor's."""
    unpack_parameters: Callable[[Any], Any]
    """Parameters (W, N) of the acting network, packed into one vector per agent → its parameters."""
    explore: Callable[[Any, Any, Any], Float[Array, "W E A"]]
    """(packed parameters of actors (W, N), observations (W, E, O), normal numbers (W, E, A)) → continuous actions."""
    draw: Callable[[Any], Draws]
    """first iteration → the randomness of the next `drawn_ahead` iterations."""
    reset_keys: Callable[[], Key[Array, "W E"]]
    """Keys (W, E) of the environments' first reset."""
    measure_bits: Callable[[Any], UInt32[Array, "1 W B"]]
    """environment step → random bits that pick the minibatch of `measure`."""
    measure: Callable[[BlockInputs, BlockState, Float[Array, "W B width"]], Measures]
    """(inputs, state, minibatch) → measures; the state is not changed."""


class BlockPrograms(NamedTuple):
    """The programs that the blocks of a configuration share, compiled except for `learn`; see `Block`."""

    init: Callable[[BlockInputs], BlockState]
    layout: RowLayout
    learn: Callable[..., BlockState]
    outputs: Callable[[Any, Any], Float[Array, "W E outputs"]]
    unpack_parameters: Callable[[Any], Any]
    explore: Callable[[Any, Any, Any], Float[Array, "W E A"]]
    draw: Callable[[Array | np.ndarray, Any], Draws]
    reset_keys: Callable[[Array | np.ndarray], Key[Array, "W E"]]
    measure_bits: Callable[[Array | np.ndarray, Any], UInt32[Array, "1 W B"]]
    measure: Callable[[BlockInputs, BlockState, Float[Array, "W B width"]], Measures]


def make_block(
    config: Config,
    learner: Learner,
    agents: Sequence[Agent],
    observation_size: int,
    num_actions: int,
    probe: Probe | None = None,
    cache: ProgramCache | None = None,
) -> Block:
    """Make the programs of up to W agents; copies of the first agent fill empty slots.

    Args:
        config: the run's configuration.
        learner: the learner that all agents share.
        agents: the block's agents.
        observation_size: O.
        num_actions: A, the number of discrete actions, or of components of a continuous one.
        probe: the agents' probes (P, …); without one, Δy is measured at records only.
        cache: programs of the other blocks of this configuration.
    """
    inputs = _block_inputs(config, agents, probe)
    programs = (cache or ProgramCache()).get(make_programs, config, learner, observation_size, num_actions)
    return Block(
        learner=learner,
        agents=tuple(agents),
        inputs=inputs,
        init=partial(programs.init, inputs),
        layout=programs.layout,
        learn=programs.learn,
        outputs=programs.outputs,
        unpack_parameters=programs.unpack_parameters,
        explore=programs.explore,
        draw=partial(programs.draw, inputs.seeds),
        reset_keys=partial(programs.reset_keys, inputs.seeds),
        measure_bits=partial(programs.measure_bits, inputs.seeds),
        measure=programs.measure,
    )


def make_programs(config: Config, learner: Learner, observation_size: int, num_actions: int) -> BlockPrograms:
    """Make the programs that all blocks of a configuration share.

    Args:
        config: the run's configuration.
        learner: the learner that all agents share.
        observation_size: O.
        num_actions: A.
    """

    layout = row_layout(config, observation_size, num_actions)
    unpack = jax.vmap(lambda rows, hyper: layout.unpack(rows, hyper.gamma))

    def init(inputs: BlockInputs) -> BlockState:
        keys = jax.vmap(lambda seed: key_for(seed, "init"))(inputs.seeds)
        initial = jax.vmap(learner.init)(keys)
        drift = None if inputs.probe is None else initial_drift(targets_of(initial, inputs))
        return BlockState(initial, jnp.zeros(config.width), drift)

    def targets_of(state: LearnerState, inputs: BlockInputs) -> Array:
        assert inputs.probe is not None
        return jax.vmap(partial(probe_targets, learner))(state, inputs.probe, inputs.hyper)

    def learn(
        state: BlockState, minibatches: Array, factor: Array, inputs: BlockInputs, noise: UpdateNoise | None = None
    ) -> BlockState:
        hyper = scaled_rates(inputs.hyper, factor)

        def gradient_step(state: BlockState, drawn: tuple[Array, UpdateNoise | None]) -> tuple[BlockState, None]:
            rows, step_noise = drawn
            count = state.learner.gradient_steps[0] + 1  # the same for all agents: one branch for the block
            moves_actor = count % config.actor_period == 0 if config.continuous else None
            update = jax.vmap(learner.update, in_axes=(0, 0, 0, 0, None))
            new, loss = update(state.learner, unpack(rows, hyper), hyper, step_noise, moves_actor)
            drift = None if state.drift is None else add_step(state.drift, targets_of(new, inputs))
            return BlockState(new, state.loss_sum + loss, drift), None

        return jax.lax.scan(gradient_step, state, (minibatches, noise))[0]

    def measure_block(inputs: BlockInputs, state: BlockState, rows: Array) -> Measures:
        measures = jax.vmap(partial(measure, learner))(state.learner, unpack(rows, inputs.hyper), inputs.hyper)
        return measures if state.drift is None else measures._replace(**summarize(state.drift))

    return BlockPrograms(
        init=jax.jit(init),
        layout=layout,
        learn=learn,
        outputs=jax.jit(jax.vmap(learner.network.batch)),
        unpack_parameters=jax.jit(jax.vmap(partial(unflatten_parameters, learner.network))),
        explore=jax.jit(jax.vmap(_explorer(config, learner))),
        draw=jax.jit(partial(draw, config, num_actions)),
        reset_keys=jax.jit(partial(reset_keys, config)),
        measure_bits=jax.jit(partial(measure_bits, config)),
        measure=jax.jit(measure_block),
    )


def explorer_shape(config: Config, learner: Learner) -> Actor:
    """Return the actor of a continuous learner, as the kernels know it."""
    shapes = [leaf.shape for leaf in jax.eval_shape(learner.network.init, jax.random.key(0))]
    sizes = (shapes[0][1], *(shape[0] for shape in shapes[1::2]))
    head = learner.head
    if head.kind == "gaussian":
        return Actor(sizes, sizes[-1] // 2, None, (LOG_SD_MIN, LOG_SD_MAX))
    return Actor(sizes, sizes[-1], head.action_noise)


def _explorer(config: Config, learner: Learner) -> Callable[[Any, Any, Any], Array]:
    """Return one agent's function from packed parameters, observations (E, O) and noise (E, A) to actions (E, A).

    Where kernels can be used it is the same code that acts on the host, for the same bits.
    """
    if config.continuous and kernels_supported():
        return explore_in_xla(explorer_shape(config, learner), config.num_envs)

    def explore(packed: Array, observations: Array, noise: Array) -> Array:
        parameters = unflatten_parameters(learner.network, packed)
        return learner.head.explore(learner.network.batch(parameters, observations), noise)

    return explore


def scaled_rates(hyper: Hyper, factor: Array) -> Hyper:
    """Return the settings with every α times `factor`."""
    rates = ("learning_rate", "actor_learning_rate", "temperature_learning_rate")
    scaled = {name: getattr(hyper, name) * factor for name in rates if getattr(hyper, name) is not None}
    return hyper._replace(**scaled)


def _block_inputs(config: Config, agents: Sequence[Agent], probe: Probe | None) -> BlockInputs:
    """Return the agents' own numbers, with copies of the first agent's in empty slots.

    Assembled in NumPy: every eager operation on the device is a program to load, and there would be a dozen.
    """
    seeds = np.array([agent.seed for agent in padded_agents(config, agents)], np.uint32)
    if probe is not None:
        empty = config.width - len(agents)
        probe = jax.tree.map(lambda a: np.concatenate([a, *[a[:1]] * empty]), probe)
    inputs: BlockInputs = jax.device_put(BlockInputs(seeds, block_hyper(config, agents), probe))
    return inputs


def padded_agents(config: Config, agents: Sequence[Agent]) -> tuple[Agent, ...]:
    """Return W agents: those given, and copies of the first in the block's empty slots."""
    return (*agents, *[agents[0]] * (config.width - len(agents)))


def reset_record_sums(state: BlockState) -> BlockState:
    """Return the state with the sums since the last record set to zero."""
    drift = None if state.drift is None else initial_drift(state.drift.y)
    return state._replace(loss_sum=jnp.zeros_like(state.loss_sum), drift=drift)


def block_hyper(config: Config, agents: Sequence[Agent]) -> Hyper:
    """Return the agents' settings as arrays (W,) on the device."""
    agents = padded_agents(config, agents)
    hyper = Hyper(
        learning_rate=np.array([agent.learning_rate for agent in agents], np.float32),
        tau=np.array([agent.target.tau for agent in agents], np.float32),
        period=np.array([agent.target.period for agent in agents], np.int32),
        gamma=np.array([agent.gamma for agent in agents], np.float32),
        blended=np.array([agent.blended for agent in agents]),
        harmonic_steps=np.array([agent.target.harmonic_steps for agent in agents], np.float32),
    )
    if config.continuous:
        hyper = hyper._replace(
            blended=None,
            actor_learning_rate=np.array([agent.actor_learning_rate for agent in agents], np.float32),
            temperature_learning_rate=np.array([agent.temperature_learning_rate for agent in agents], np.float32),
            actor_tau=np.array([agent.actor_tau for agent in agents], np.float32),
            actor_harmonic_steps=np.array([agent.actor_harmonic_steps for agent in agents], np.float32),
        )
    on_device: Hyper = jax.device_put(hyper)
    return on_device
