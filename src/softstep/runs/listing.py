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


def list_runs(folder: Path) -> list[RunLine]:
    """List the run folders directly under `folder`, by name."""
    lines = []
    for path in sorted(p.parent for p in folder.glob("*/config.json")):
        with contextlib.suppress(StoreError):
            run = open_run(path)
            done = bool((read_summary(run) or {}).get("finished"))
            lines.append(
                RunLine(
                    path, run.config.env, run.config.num_agents, min(steps_reached(run)), run.config.total_steps, done
                )
            )
    return lines
