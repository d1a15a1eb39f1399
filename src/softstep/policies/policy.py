"""Greedy policies of trained agents, loaded from their run folders."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from softstep import envs
from softstep.errors import ConfigError, StoreError
from softstep.jax_settings.pinned import pinned
from softstep.learner.algorithms import make_acting_network, make_head
from softstep.learner.heads import ARGMAX, Head
from softstep.learner.networks import Network, numpy_q_values
from softstep.policies.actor_critic_networks import Parameters, layers_of, read_networks
from softstep.runs import checkpoints, registration, run_folder
from softstep.runs.api import Run, check_trust
from softstep.runs.run_folder import RunFolder
from softstep.settings import Agent
from softstep.training import best_checkpoint
from softstep.training.best_checkpoint import BestCheckpoints
from softstep.training.evaluation import evaluated_parameters

Layers = Sequence[tuple[np.ndarray, np.ndarray]]
"""Weights (out, in) and biases (out,) of an MLP."""


class Policy:
    """A greedy policy: `policy(observation) → action`."""

    def __init__(
        self,
        agent: Agent,
        spec: envs.EnvSpec,
        network: Network,
        params: Any,
        hidden: Sequence[int],
        head: Head = ARGMAX,
        critics: Parameters = (),
    ) -> None:
        """Make a policy of a network's parameters.

        Args:
            agent: the settings with which the network was trained.
            spec: description of the environment.
            network: the network's functions.
            params: its parameters.
            hidden: sizes of the hidden layers of an MLP.
            head: what its outputs mean as an action.
            critics: the parameters of the critics of an actor, stacked.
        """
        self.agent, self.spec, self.head = agent, spec, head
        self._mlp_params = params if network.plain_mlp else None
        if network.plain_mlp:
            packed = np.concatenate([np.ravel(leaf) for leaf in params])[None]
            outputs = numpy_q_values((spec.observation_size, *hidden, head.outputs(spec.num_actions)))(packed)
            self._outputs = lambda observation: outputs(observation[None, None])[0, 0]
        else:
            apply = jax.jit(network.apply)
            self._outputs = pinned()(lambda observation: np.asarray(apply(params, observation)))
        self._critics: Callable[[np.ndarray], np.ndarray] | None = None
        if critics:
            sizes = (spec.observation_size + spec.num_actions, *hidden, 1)
            packed = np.concatenate([leaf.reshape(len(leaf), -1) for leaf in critics], axis=1)
            self._critics = numpy_q_values(sizes)(packed)

    @property
    def layers(self) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Weights (out, in) and biases (out,) of the MLP, with ReLU between layers; None for a custom network."""
        if self._mlp_params is None:
            return None
        return layers_of(self._mlp_params)

    @property
    def greedy_layers(self) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Those of `layers` that the greedy action needs: without the rows of log σ of a Gaussian actor."""
        if self.layers is None or self.head.kind != "gaussian":
            return self.layers
        *hidden, (weight, bias) = self.layers
        return [*hidden, (weight[: self.spec.num_actions], bias[: self.spec.num_actions])]

    def q_values(self, observation: Any) -> Float[np.ndarray, " A"]:
        """Return Q(s, ·), shape (A,); raise ValueError for an actor, or if the observation has the wrong size."""
        if self.head.kind != "argmax":
            raise ValueError(f"agent of {self.spec.name}: an actor has no action values; call the policy itself")
        return self._checked_outputs(observation)

    def value(self, observation: Any) -> float:
        """Return the value of the greedy action a: max Q(s, ·), or min_i Q_i(s, a) of an actor's critics.

        It is NaN if the actor has diverged.

        Raises:
            ValueError: the observation has the wrong size, or the policy is an actor without critics.
        """
        outputs = self._checked_outputs(observation)
        if self.head.kind == "argmax":
            return float(outputs.max())
        if self._critics is None:
            raise ValueError(f"agent of {self.spec.name}: its actor was made without critics")
        if not np.isfinite(outputs).all():
            return float("nan")
        flat = np.ravel(np.asarray(observation, np.float32))
        inputs = np.concatenate([flat, self.head.greedy(np, outputs)])
        return float(self._critics(inputs[None, None]).min())

    def _checked_outputs(self, observation: Any) -> np.ndarray:
        flat = np.ravel(np.asarray(observation, np.float32))
        if flat.shape != (self.spec.observation_size,):
            raise ValueError(
                f"observation of size {flat.size}: {self.spec.name} has observations of size"
                f" {self.spec.observation_size}"
            )
        return self._outputs(flat)

    def __call__(self, observation: Any) -> Any:
        """Return the greedy action as the environment takes it: its number, or an array (A,) within its bounds."""
        action = self.head.greedy(np, self._checked_outputs(observation))
        if self.spec.action_bounds is not None:
            return self.spec.action_bounds.scale(np, action)
        return self.spec.first_action + int(action)


@pinned()
def load(run: Run | Path | str, agent: int = 0, *, best: bool = False, trusted: Sequence[str] = ()) -> Policy:
    """Load the greedy policy of one agent of a run from its newest checkpoint, or, with `best`, from its best one.

    The policy uses the network that the run evaluates (`eval_network`).

    Args:
        run: the run or its folder.
        agent: number of the agent, from 0 on.
        best: take the weights of the agent's best greedy evaluation; of an actor, they come without critics.
        trusted: the modules that the run's configuration names, if any, repeated.

    Raises:
        StoreError: the run has no checkpoint, or no best one.
        ConfigError: the run has no such agent, or its configuration names modules that `trusted` does not repeat.
    """
    folder = run_folder.open_run(run.path if isinstance(run, Run) else run)
    config = folder.config
    check_trust(config, trusted)
    if not 0 <= agent < config.num_agents:
        raise ConfigError(f"agent = {agent} is not in the run: it has agents 0 to {config.num_agents - 1}")
    spec = describe_environment(folder)
    network = make_acting_network(config, spec.observation_size, spec.num_actions)
    block, slot = divmod(agent, config.width)
    arrays = read_arrays(folder, block)
    if best and (reason := lacks_best(read_best(folder, network, block), slot)):
        raise StoreError(f"{folder.path}: agent {agent} has no best checkpoint: {reason}")
    params = tuple(leaf[slot] for leaf in read_parameters(folder, network, block, best=best))
    critics: Parameters = ()
    if config.continuous and not best:
        networks = read_networks(arrays, network, slot)
        critics = networks.critics if config.eval_network == "online" else networks.target_critics
    return Policy(config.blocks()[block][slot], spec, network, params, config.hidden, make_head(config), critics)


def describe_environment(folder: RunFolder) -> envs.EnvSpec:
    """Describe a run's environment; warn if its id stands for another one in this process."""
    spec = envs.describe(folder.config)
    difference = registration.difference(folder)
    if difference is not None:
        warnings.warn(f"{difference}: the one here is used", RuntimeWarning, stacklevel=3)
    return spec


def read_parameters(folder: RunFolder, network: Network, block: int, *, best: bool = False) -> tuple[np.ndarray, ...]:
    """Read the leaves (W, …) of a block's evaluated network from its newest checkpoint; raise as `read_arrays`.

    With `best` they are those of each agent's best checkpoint; raise as `read_best`.
    """
    if best:
        return read_best(folder, network, block).network
    return evaluated_parameters(folder.config, network, read_arrays(folder, block))


def read_best(folder: RunFolder, network: Network, block: int) -> BestCheckpoints:
    """Read the best checkpoints of a block's agents.

    Raises:
        StoreError: the block has no checkpoint, or its newest one has kept no best ones.
    """
    best = best_checkpoint.from_arrays(network.parameter_names, read_arrays(folder, block))
    if best is None:
        why = (
            "it was trained by an older softstep"
            if folder.config.eval_every
            else "it makes no evaluations (eval_every = 0)"
        )
        raise StoreError(
            f"{folder.path} has no best checkpoints, because {why}: use the newest ones, or train it again"
        )
    return best


def lacks_best(best: BestCheckpoints, slot: int) -> str | None:
    """Return why the agent in a slot of a block has no best checkpoint; None if it has one."""
    if best.env_steps[slot] > 0:
        return None
    if best.eval_return[slot] > -np.inf:
        return "its best evaluation was made by an older softstep, which did not keep the weights"
    return "no evaluation was made before it ended or diverged"


def read_arrays(folder: RunFolder, block: int) -> Mapping[str, np.ndarray]:
    """Read the arrays of a block's newest checkpoint.

    Raises:
        StoreError: the block has no checkpoint.
    """
    checkpoint = checkpoints.read_checkpoint(folder, block, with_replay=False)
    if checkpoint is None:
        raise StoreError(f"{folder.path} has no checkpoint of block {block} yet: train it first")
    return checkpoint.arrays
