"""List the runs in a folder."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from softstep.errors import StoreError
from softstep.runs.checkpoints import steps_reached
from softstep.runs.run_folder import open_run, read_summary


class RunLine(NamedTuple):
    """One line of a list of runs."""

    path: Path
    env: str
    agents: int
    env_steps: int
    total_steps: int
    finished: bool
    exact: bool
    """Whether every resume so far has continued the running episodes."""


def list_runs(folder: Path) -> list[RunLine]:
    """List the run folders directly under `folder`, by name."""
    lines = []
    for path in sorted(p.parent for p in folder.glob("*/config.json")):
        with contextlib.suppress(StoreError):
            run = open_run(path)
            config, summary = run.config, read_summary(run) or {}
            done, exact = bool(summary.get("finished")), not summary.get("inexact_resumes")
            steps = min(steps_reached(run))
            lines.append(RunLine(path, config.env, config.num_agents, steps, config.total_steps, done, exact))
    return lines
