"""`softstep watch`: its flags and what it does."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import softstep
from softstep.cli.command import File, PlainCommand, RunPath
from softstep.cli.exit_codes import SUCCESS
from softstep.cli.options import Trust, TrustFlags


@dataclass(frozen=True)
class Watch(PlainCommand):
    """Write a GIF of one greedy episode, with the action values beside the picture.

    Of continuous actions, the action and its value, the smallest of the critics' Q(s, a).
    """

    run: RunPath
    """Run folder."""
    agent: int = 0
    """Index of the agent, counted from 0 in the order of `softstep eval`."""
    seed: int = 0
    """Seed of the episode's first state."""
    eval_max_steps: int = 1_000
    """Steps after which the episode is cut, with a warning."""
    out: Annotated[Path | None, File] = None
    """File to write. None writes watch-AGENT-SEED.gif in the run folder."""
    trust: Trust = field(default_factory=TrustFlags)

    def execute(self) -> int:
        """Play the episode, write the GIF, print its return and return the exit code."""
        out = self.out or self.run / f"watch-{self.agent}-{self.seed}.gif"
        file = out.absolute()  # the environment's code may change the working directory
        policy = softstep.load(self.run, self.agent, trusted=self.trust.names)
        episode = softstep.landing_gif(policy, policy.spec, file, self.seed, max_steps=self.eval_max_steps)
        if not (episode["terminated"] or episode["truncated"]):
            warnings.warn(
                f"the episode had not ended after {self.eval_max_steps} steps and was cut (--eval-max-steps sets the"
                " limit)",
                RuntimeWarning,
                stacklevel=2,
            )
        print(f"{out}: return {episode['return']:.0f} in {episode['steps']} steps")
        return SUCCESS
