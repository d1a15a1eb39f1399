"""What every exporter writes: a greedy policy with its layers, its settings and a title."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import safetensors.numpy

import softstep
from softstep.config import Config
from softstep.envs.contract import ActionBounds
from softstep.policies.actor_critic_networks import ActorCriticNetworks
from softstep.policies.policy import Layers, Policy
from softstep.settings import Agent, changed


class ExportedPolicy(NamedTuple):
    """A policy that is exported."""

    policy: Policy
    layers: Layers
    """The layers of its network; of a Gaussian actor, the last one without the rows of log σ."""
    config: Config
    """The configuration of its run."""
    env_steps: int
    """Environment steps that the agent has trained for."""
    networks: ActorCriticNetworks | None = None
    """All networks of an agent with an actor; None with the weights of its best evaluation, which come alone."""

    @property
    def agent(self) -> Agent:
        """The agent's settings when training stopped, after any changes made mid-run."""
        return changed(self.policy.agent, [c for c in self.config.changes if c.env_steps <= self.env_steps])

    @property
    def sizes(self) -> list[int]:
        """Sizes of all layers: observations, hidden layers, actions."""
        return [self.layers[0][0].shape[1], *(len(bias) for _, bias in self.layers)]

    @property
    def bounds(self) -> ActionBounds | None:
        """The range of continuous actions; None for discrete ones."""
        return self.policy.spec.action_bounds

    @property
    def title(self) -> str:
        """One sentence that says which agent it is."""
        agent = self.policy.agent
        kind = f"actor of {self.config.algorithm.upper()}" if self.config.continuous else "deep Q-network"
        article = "An" if self.config.continuous else "A"
        return f"{article} {kind} for {self.config.env}, trained by softstep: {agent.arm}, seed {agent.seed}."

    @property
    def metadata(self) -> dict[str, str]:
        """Which agent it is, by key: env, seed, arm, gamma, env_steps and softstep_version."""
        agent = self.agent
        return {
            "env": self.config.env,
            "seed": str(agent.seed),
            "arm": agent.arm,
            "gamma": repr(agent.gamma),
            "env_steps": str(self.env_steps),
            "softstep_version": softstep.__version__,
        }

    def safetensors(self, spacing: int) -> bytes:
        """Return the content of a safetensors file with `N.weight` (out, in) and `N.bias` (out,), N = 0, spacing, …"""
        tensors: dict[str, np.ndarray] = {}
        for number, (weight, bias) in enumerate(self.layers):
            tensors[f"{spacing * number}.weight"] = np.ascontiguousarray(weight)
            tensors[f"{spacing * number}.bias"] = bias
        return safetensors.numpy.save(tensors)
