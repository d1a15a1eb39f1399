"""What every exporter writes: a greedy policy with its layers, its settings and a title."""

from __future__ import annotations

from typing import NamedTuple

from softstep.config import Config
from softstep.policies.policy import Layers, Policy


class ExportedPolicy(NamedTuple):
    """A policy that is exported."""

    policy: Policy
    layers: Layers
    config: Config
    """The configuration of its run."""

    @property
    def sizes(self) -> list[int]:
        """Sizes of all layers: observations, hidden layers, actions."""
        return [self.layers[0][0].shape[1], *(len(bias) for _, bias in self.layers)]

    @property
    def title(self) -> str:
        """One sentence that says which agent it is."""
        agent = self.policy.agent
        return f"A deep Q-network for {self.config.env}, trained by softstep: {agent.arm}, seed {agent.seed}."
