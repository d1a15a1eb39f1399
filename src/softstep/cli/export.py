"""`softstep export`: its flags and what it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

import softstep
from softstep.cli.command import PlainCommand, RunPath, Switch
from softstep.cli.exit_codes import SUCCESS
from softstep.cli.options import Trust, TrustFlags


@dataclass(frozen=True)
class Export(PlainCommand):
    """Export a trained agent's greedy policy, and its action values if actions are discrete, for another runtime."""

    run: RunPath
    """Run folder."""
    to: Literal["torch", "jax", "onnx", "sb3"]
    """Format: torch or jax (a folder), onnx (one file) or sb3 (an archive for stable-baselines3's load)."""
    agent: int = 0
    """Index of the agent, counted from 0 in the order of `softstep eval`."""
    best: Switch = False
    """Export the weights of the agent's best evaluation in training instead of its last weights."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """File or folder to write. None writes into the run folder."""
    trust: Trust = field(default_factory=TrustFlags)

    def execute(self) -> int:
        """Write the export, print its path and return the exit code."""
        trusted = self.trust.names
        print(softstep.export_policy(self.run, self.to, self.out, self.agent, best=self.best, trusted=trusted))
        return SUCCESS
