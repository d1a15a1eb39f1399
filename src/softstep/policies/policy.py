"""Trained agents back from their run folders: policies, and what they are worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from softstep import envs, errors
from softstep.config import Agent, Config
from softstep.errors import ConfigError
from softstep.learner.networks import Network, make_network, numpy_q_values
from softstep.learner.update import make_learner
from softstep.runs import checkpoints, run_folder
from softstep.runs.api import Run, check_trust
from softstep.stats import ReturnStatistics, return_statistics
from softstep.training.block import make_block
from softstep.training.evaluation import evaluated_parameters, make_evaluate

HELD_OUT = 1_000_000
"""First evaluation number of `evaluate`: its episodes are none of those that training evaluated on."""


class Policy:
    """A greedy policy: `policy(observation) → action`."""

    def __init__(self, agent: Agent, spec: envs.EnvSpec, network: Network, params: Any, hidden: Sequence[int]) -> None:
        self.agent, self.spec = agent, spec
        self._params = params if network.plain_mlp else None
        if network.plain_mlp:
            packed = np.concatenate([np.ravel(leaf) for leaf in params])[None]
            values = numpy_q_values((spec.observation_size, *hidden, spec.num_actions))(packed)
            self._values = lambda o: values(o[None, None])[0, 0]
        else:
            apply = jax.jit(network.apply)
            self._values = lambda o: np.asarray(apply(params, o))

    @property
    def layers(self) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Weights (out, in) and biases (out,) of the MLP, ReLU between them; None for a network of the user's own."""
        return None if self._params is None else list(zip(self._params[::2], self._params[1::2], strict=True))

    def q_values(self, observation: Any) -> Float[np.ndarray, " A"]:
        """Q(s, ·), shape (A,)."""
        flat = np.ravel(np.asarray(observation, np.float32))
        if flat.shape != (self.spec.observation_size,):
            raise ValueError(f"observation of size {flat.size}: {self.spec.name} observes {self.spec.observation_size}")
        return self._values(flat)

    def __call__(self, observation: Any) -> int:
        """The action of the largest value."""
        return int(np.argmax(self.q_values(observation)))


class _Block(NamedTuple):
    agents: tuple[Agent, ...]
    params: tuple[np.ndarray, ...]


def load(run: Run | Path | str, agent: int = 0, *, trusted: Sequence[str] = ()) -> Policy:
    """The greedy policy of agent number `agent` of a run, from its newest checkpoint.

    It plays with the network that the run evaluates (`eval_network`). `trusted` repeats the modules that the run's
    configuration names, if any. StoreError where the run has no checkpoint; ConfigError for an unknown agent.
    """
    folder = run_folder.open_run(run.path if isinstance(run, Run) else run)
    config = folder.config
    check_trust(config, trusted)
    if not 0 <= agent < config.num_agents:
        raise ConfigError(f"agent = {agent} is not in the run: it has agents 0 to {config.num_agents - 1}")
    spec = envs.describe(config)
    network = make_network(config, spec.observation_size, spec.num_actions)
    block = _read(folder, network, agent // config.width)
    slot = agent % config.width
    return Policy(block.agents[slot], spec, network, tuple(leaf[slot] for leaf in block.params), config.hidden)


def _read(folder: run_folder.RunFolder, network: Network, block: int) -> _Block:
    found = checkpoints.read_checkpoint(folder, block, with_replay=False)
    if found is None:
        raise errors.StoreError(f"{folder.path} has no checkpoint of block {block} yet")
    return _Block(folder.config.blocks()[block], evaluated_parameters(folder.config, network, found.arrays))


class Evaluation(NamedTuple):
    """Greedy returns of every agent of a run."""

    agents: tuple[Agent, ...]
    returns: Float[np.ndarray, "P episodes"]

    @property
    def statistics(self) -> list[ReturnStatistics]:
        """Mean, IQM, standard deviation and interval of each agent's returns."""
        return [return_statistics(returns) for returns in self.returns]


def evaluate(run: Run | Path | str, episodes: int = 100, seed: int = 0, *, trusted: Sequence[str] = ()) -> Evaluation:
    """Play `episodes` greedy episodes with every agent, on held-out seeds common to all.

    Evaluations of different `seed` share no episode, with each other or with training.
    """
    if episodes < 1:
        raise ConfigError(f"episodes = {episodes} must be at least 1")
    if seed < 0:
        raise ConfigError(f"seed = {seed} must be at least 0")
    folder = run_folder.open_run(run.path if isinstance(run, Run) else run)
    config = folder.config
    check_trust(config, trusted)
    spec = envs.describe(config)
    returns = [_block_returns(folder, config, spec, b, episodes, seed) for b in range(len(config.blocks()))]
    return Evaluation(config.agents(), np.concatenate(returns))


def _block_returns(
    folder: run_folder.RunFolder, config: Config, spec: envs.EnvSpec, number: int, episodes: int, seed: int
) -> np.ndarray:
    learner = make_learner(config, spec.observation_size, spec.num_actions)
    agents, params = _read(folder, learner.network, number)
    block = make_block(config, learner, agents, spec.observation_size, spec.num_actions)
    compiled = envs.make_compiled(spec.name) if spec.maker == "gymnax" else None
    return make_evaluate(config, block, spec, compiled)(params, HELD_OUT + seed, episodes)
