"""`softstep watch`: its flags and what it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import softstep
from softstep.cli.exit_codes import SUCCESS
from softstep.cli.options import File, PlainCommand, RunPath, Trust, TrustFlags


@dataclass(frozen=True)
class Watch(PlainCommand):
    """Write a GIF of one greedy episode, with the action values beside the picture."""

    run: RunPath
    """Run folder."""
    agent: int = 0
    """Index of the agent, counted from 0 in the order of `softstep eval`."""
    seed: int = 0
    """Seed of the episode's first state."""
    out: Annotated[Path | None, File] = None
    """File to write. None writes watch-AGENT-SEED.gif in the run folder."""
    trust: Trust = field(default_factory=TrustFlags)

    def execute(self) -> int:
        """Play the episode, write the GIF, print its return and return the exit code."""
        policy = softstep.load(self.run, self.agent, trusted=self.trust.names)
        out = self.out or self.run / f"watch-{self.agent}-{self.seed}.gif"
        episode = softstep.landing_gif(policy.q_values, policy.spec, out, self.seed)
        print(f"{out}: return {episode['return']:.0f} in {episode['steps']} steps")
        return SUCCESS
