"""How a block learns on the host: by a program of XLA's, or by one kernel that is called without XLA.

Both give the same bits. The program knows every learner; the kernel is faster for the plain one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from softstep.config import Config
from softstep.jax_settings.dispatch import overlaps
from softstep.kernels.mlp import mlp_kernel_accepts
from softstep.kernels.mlp_passes import MLPShape
from softstep.kernels.q_steps import QSteps, Row, Work
from softstep.learner.contract import Hyper, LearnerState, OneKernel, UpdateNoise
from softstep.learner.networks import flatten_parameters
from softstep.training.block import Block, BlockInputs, BlockState, scaled_rates
from softstep.training.merged_arrays import MergedArrays, make_merging
from softstep.training.program_cache import ProgramCache
from softstep.training.replay_rows import RowLayout


@runtime_checkable
class HostLearning(Protocol):
    """Takes the gradient steps of one iteration after another."""

    state: BlockState

    def begin(self, factors: np.ndarray, inputs: BlockInputs) -> None:
        """Prepare the next iterations, whose factors on α these are (N,); N is the same in all calls."""
        ...

    def learn(self, n: int, minibatches: np.ndarray, noise: UpdateNoise | None) -> None:
        """Begin the gradient steps of iteration number n since `begin`."""
        ...

    def finish(self) -> np.ndarray:
        """Wait for the steps that were begun; return the parameters (W, N) of the acting network after them."""
        ...

    def acting_parameters(self) -> np.ndarray:
        """Return the current parameters (W, N) of the acting network; waits until they are computed."""
        ...


def make_host_learning(config: Config, block: Block, cache: ProgramCache) -> HostLearning:
    """Return how the block learns."""
    state, kernel = block.init(), block.learner.one_kernel
    plain = kernel is not None and config.n_step == 1 and block.inputs.probe is None
    if plain and mlp_kernel_accepts(_networks(state.learner), _observations(config, block.layout)):
        return KernelLearning(config, block, state, cache)
    return XlaLearning(block, state, cache)


class XlaLearning:
    """Calls a program that XLA compiles."""

    def __init__(self, block: Block, state: BlockState, cache: ProgramCache) -> None:
        programs = cache.get(_merged_programs, block, state)
        self._learn, self._merge, self._split, self._pack = programs
        self.state = state

    @property
    def state(self) -> BlockState:
        """The learning state."""
        return self._split(self._merged)

    @state.setter
    def state(self, state: BlockState) -> None:
        self._merged: MergedArrays = self._merge(state)

    def begin(self, factors: np.ndarray, inputs: BlockInputs) -> None:
        """Prepare the next iterations."""
        self._factors, self._inputs = factors, inputs

    def learn(self, n: int, minibatches: np.ndarray, noise: UpdateNoise | None) -> None:
        """Begin the gradient steps of iteration number n."""
        self._merged, self._packed = self._learn(self._merged, minibatches, self._factors[n], self._inputs, noise)

    def finish(self) -> np.ndarray:
        """Wait for the steps; return the parameters (W, N) of the acting network."""
        return np.asarray(self._packed)

    def acting_parameters(self) -> np.ndarray:
        """Return the current parameters (W, N) of the acting network."""
        return np.asarray(self._pack(self.state))


def _merged_programs(block: Block, like: BlockState) -> tuple[Callable[..., Any], ...]:
    """Compile learning on merged states (which it consumes), merging, splitting, and packing acting parameters."""
    merge, split = make_merging(like)

    def pack(state: BlockState) -> Any:
        return jax.vmap(flatten_parameters)(block.learner.acting_parameters(state.learner.online))

    def learn_merged(
        merged: MergedArrays, minibatches: Any, factor: Any, inputs: BlockInputs, noise: UpdateNoise | None
    ) -> tuple[MergedArrays, Any]:
        state = block.learn(split(merged), minibatches, factor, inputs, noise)
        return merge(state), pack(state)

    return jax.jit(learn_merged, donate_argnums=0), jax.jit(merge), jax.jit(split), jax.jit(pack)


class KernelLearning:
    """Calls `kernels.q_steps`, and keeps the rest of the state in NumPy."""

    def __init__(self, config: Config, block: Block, state: BlockState, cache: ProgramCache) -> None:
        kernel, layout = block.learner.one_kernel, block.layout
        assert kernel is not None
        shape = MLPShape(
            (layout.observation_size, *(b.shape[1] for b in state.learner.online[1::2])), config.batch_size
        )
        work = Work(kernel.rule, shape, _row(layout), config.width, config.updates)
        self._kernel, self._updates, self._begun = QSteps(work, overlap=overlaps()), config.updates, False
        self._scalars_of = cache.get(_scalars_program, config, kernel)
        self.state = state

    @property
    def state(self) -> BlockState:
        """A copy of the learning state; waits for the steps that were begun."""
        self._settle()
        counts = self._adam_steps, self._gradient_steps, self._diverged_at, self._loss_sum
        copies = self._kernel.networks(), [array.copy() for array in counts]
        networks, (adam_steps, gradient_steps, diverged_at, loss_sum) = jax.device_put(copies)
        starts = range(0, len(networks), self._parameters)
        online, target, mu, nu = (tuple(networks[n : n + self._parameters]) for n in starts)
        moments, *rest = self._opt_state
        opt_state = (moments._replace(count=adam_steps, mu=mu, nu=nu), *rest)
        return BlockState(LearnerState(online, target, opt_state, gradient_steps, diverged_at), loss_sum)

    @state.setter
    def state(self, state: BlockState) -> None:
        learner = state.learner
        self._settle()
        self._opt_state, self._parameters = learner.opt_state, len(learner.online)
        self._kernel.load(list(map(np.asarray, _networks(learner))))
        counts = learner.opt_state[0].count, learner.gradient_steps, learner.diverged_at
        self._adam_steps, self._gradient_steps, self._diverged_at = map(np.array, counts)
        self._loss_sum = np.array(state.loss_sum)

    def begin(self, factors: np.ndarray, inputs: BlockInputs) -> None:
        """Prepare the next iterations."""
        self._scalars = np.asarray(self._scalars_of(self._gradient_steps, self._adam_steps, factors, inputs.hyper))
        self._gammas = np.asarray(inputs.hyper.gamma)

    def learn(self, n: int, minibatches: np.ndarray, noise: UpdateNoise | None) -> None:
        """Begin the gradient steps of iteration number n."""
        self._kernel.begin(minibatches, self._scalars[n], self._gammas)
        self._begun = True

    def finish(self) -> np.ndarray:
        """Wait for the steps; return the parameters (W, N) of the acting network."""
        self._settle()
        return self._kernel.packed()

    def _settle(self) -> None:
        """Wait for the steps that were begun, and count them."""
        if not self._begun:
            return
        self._begun, done = False, self._kernel.finish()
        for losses in done.losses:
            self._loss_sum += losses
        healthy = np.isfinite(done.losses) & done.finite
        if not healthy.all():
            for number, well in enumerate(healthy, 1):
                first = (self._diverged_at == 0) & ~well
                self._diverged_at = np.where(first, self._gradient_steps + np.int32(number), self._diverged_at)
        self._gradient_steps += np.int32(self._updates)
        self._adam_steps += np.int32(self._updates)

    def acting_parameters(self) -> np.ndarray:
        """Return the current parameters (W, N) of the acting network; waits for the steps that were begun."""
        self._settle()
        online = self._kernel.networks()[: self._parameters]
        return np.concatenate([array.reshape(len(array), -1) for array in online], axis=1)


def _networks(learner: LearnerState) -> tuple[Any, ...]:
    """Return the arrays of Q, T, μ and ν."""
    moments = learner.opt_state[0]
    return (*learner.online, *learner.target, *moments.mu, *moments.nu)


def _observations(config: Config, layout: RowLayout) -> np.ndarray:
    """Return observations like those of a minibatch."""
    return np.zeros((config.batch_size, layout.observation_size), np.float32)


def _row(layout: RowLayout) -> Row:
    """Return where the parts of a transition begin in a row."""
    return Row(layout.width, *(int(np.min(columns)) for columns in layout.columns(np.arange(layout.width))))


def _scalars_program(config: Config, kernel: OneKernel) -> Callable[..., Any]:
    """Compile (gradient steps (W,), Adam's steps (W,), factors (N,), hyper) → the kernel's scalars (N, U, W, 5).

    It computes them step by step, in the shapes in which a program that learns does.
    """

    def scalars(gradient_steps: Array, adam_steps: Array, factors: Array, hyper: Hyper) -> Array:
        def step(counts: tuple[Array, Array], factor: Array) -> tuple[tuple[Array, Array], Array]:
            numbers = jax.vmap(kernel.scalars)(*counts, scaled_rates(hyper, factor))
            return (counts[0] + 1, optax.safe_increment(counts[1])), numbers

        every = jnp.repeat(factors, config.updates)
        numbers = jax.lax.scan(step, (gradient_steps, adam_steps), every)[1]
        return numbers.reshape(len(factors), config.updates, *numbers.shape[1:])

    return jax.jit(scalars)
