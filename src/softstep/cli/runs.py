"""`softstep runs`: its flags and what it does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from softstep.cli.command import PlainCommand
from softstep.cli.exit_codes import SUCCESS
from softstep.comparison import folders
from softstep.errors import ConfigError
from softstep.runs import listing


@dataclass(frozen=True)
class Runs(PlainCommand):
    """List the runs in a folder and how far each one is."""

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="[FOLDER]")] = Path("runs")
    """Folder that holds the run folders."""

    def execute(self) -> int:
        """Print one row per run and return the exit code."""
        if not self.folder.is_dir():
            raise ConfigError(f"{self.folder} is not a folder: softstep runs FOLDER (runs/ by default)")
        table = Table()
        for column in ("run", "environment", "agents", "steps", "state"):
            table.add_column(column)
        for line in listing.list_runs(self.folder):
            command = "train" if folders.comparison_folder(line.path) is None else "compare"
            state = "finished" if line.finished else f"resumable: softstep {command} --resume"
            state += "" if line.exact else " (once resumed with new episodes)"
            table.add_row(str(line.path), line.env, str(line.agents), f"{line.env_steps}/{line.total_steps}", state)
        Console().print(table)
        return SUCCESS
