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
    """List the runs in `folder`, by name."""
    lines = []
    for path in _run_folders(folder):
        with contextlib.suppress(StoreError):
            run = open_run(path)
            config, summary = run.config, read_summary(run) or {}
            done, exact = bool(summary.get("finished")), not summary.get("inexact_resumes")
            steps = min(steps_reached(run))
            lines.append(RunLine(path, config.env, config.num_agents, steps, config.total_steps, done, exact))
    return lines


def _run_folders(folder: Path) -> list[Path]:
    """Return the run folders in `folder`, and those in its folders that are no runs themselves, by name.

    Runs of ids with a slash lie one folder further down, and so does what belongs to a comparison.
    """
    found = {file.parent for pattern in ("*/config.json", "*/*/config.json") for file in folder.glob(pattern)}
    return sorted(path for path in found if path.parent not in found)
