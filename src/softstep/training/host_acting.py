"""How a block acts on the host between two updates: ε-greedily, or as an actor chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from softstep.config import Config
from softstep.envs import EnvSpec
from softstep.kernels.acting import make_actor, make_explorer
from softstep.kernels.support import kernels_supported
from softstep.learner.networks import numpy_q_values
from softstep.training.block import Block, explorer_shape
from softstep.training.exploration import HostEpsilonGreedy
from softstep.training.randomness import Draws


@runtime_checkable
class HostActing(Protocol):
    """Chooses the actions of one iteration after another."""

    def load(self, packed: np.ndarray) -> None:
        """Act with these parameters (W, N) of the acting network from now on, packed into one vector per agent."""
        ...

    def begin(self, draw: Draws, epsilon: Any, *, learning: bool) -> None:
        """Begin an iteration, or go on with another ε.

        Args:
            draw: the iteration's randomness, of the real agents.
            epsilon: ε, broadcastable to (V, W, E).
            learning: whether learning has started.
        """
        ...

    def actions(self, v: int, observations: np.ndarray) -> np.ndarray:
        """Return the actions (W, E) or (W, E, A) of vector step `v`."""
        ...


def make_host_acting(config: Config, block: Block, spec: EnvSpec, *, in_xla: bool) -> HostActing:
    """Return how the block acts.

    Args:
        config: the run's configuration.
        block: the agents' programs.
        spec: the environment.
        in_xla: whether XLA evaluates the acting network, as it does in the compiled loop.
    """
    if config.continuous:
        return ContinuousActing(config, block, in_xla=in_xla)
    return EpsilonGreedyActing(config, block, spec, in_xla=in_xla)


class EpsilonGreedyActing:
    """Random actions with probability ε, else those with the largest value."""

    def __init__(self, config: Config, block: Block, spec: EnvSpec, *, in_xla: bool) -> None:
        self._padding, self._agents, self._block = _Padding(config, block), len(block.agents), block
        self._load: Callable[[np.ndarray], Any] | None = None
        if block.learner.network.plain_mlp and not in_xla:
            sizes = (spec.observation_size, *config.hidden, spec.num_actions)
            fast = kernels_supported()
            self._load = make_actor(sizes, self._agents, config.num_envs) if fast else numpy_q_values(sizes)

    def load(self, packed: np.ndarray) -> None:
        """Act with these parameters."""
        if self._load is not None:
            self._q_values = self._load(packed[: self._agents])
            return
        parameters = self._block.unpack_parameters(packed)
        pad = self._padding
        self._q_values = lambda o: np.asarray(self._block.outputs(parameters, pad(o)))[: self._agents]

    def begin(self, draw: Draws, epsilon: Any, *, learning: bool) -> None:
        """Decide who explores in the iteration."""
        self._random: Any = draw.action
        self._greedy = HostEpsilonGreedy(np.asarray(draw.explore), epsilon)

    def actions(self, v: int, observations: np.ndarray) -> np.ndarray:
        """Return the actions (W, E)."""
        actions: np.ndarray = self._greedy.actions(v, self._random[v], observations, self._q_values)
        return actions


class ContinuousActing:
    """Uniformly random actions until learning starts, then the actor's with its head's noise."""

    def __init__(self, config: Config, block: Block, *, in_xla: bool) -> None:
        self._padding, self._agents, self._block = _Padding(config, block), len(block.agents), block
        self._load: Callable[[np.ndarray], Any] | None = None
        if kernels_supported() and not in_xla:
            self._load = make_explorer(explorer_shape(config, block.learner), self._agents, config.num_envs)

    def load(self, packed: np.ndarray) -> None:
        """Act with these parameters."""
        if self._load is not None:
            self._explore = self._load(packed[: self._agents])
            return
        pad = self._padding
        self._explore = lambda o, noise: np.asarray(self._block.explore(packed, pad(o), pad(noise)))[: self._agents]

    def begin(self, draw: Draws, epsilon: Any, *, learning: bool) -> None:
        """Take the iteration's random actions, or its noise."""
        self._draw: Any = draw
        self._learning = learning

    def actions(self, v: int, observations: np.ndarray) -> np.ndarray:
        """Return the actions (W, E, A)."""
        if not self._learning:
            random: np.ndarray = self._draw.action[v]
            return random
        return self._explore(observations, self._draw.explore[v])


class _Padding:
    """Fills a block's empty slots with zeros."""

    def __init__(self, config: Config, block: Block) -> None:
        self._empty = config.width - len(block.agents)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return values (P, …) as (W, …)."""
        return np.pad(values, [(0, self._empty), *[(0, 0)] * (values.ndim - 1)]) if self._empty else values
