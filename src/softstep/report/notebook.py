"""Training in a notebook: a progress bar, unless the caller observes the run himself, and runs that can be shown."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

from softstep.report.cell.frame import DEFAULT_HEIGHT, in_cell, zipped
from softstep.report.run_page import run_page
from softstep.report.terminal.progress import ProgressView
from softstep.runs import checkpoints
from softstep.runs.api import Run
from softstep.runs.run_folder import RunFolder
from softstep.runs.worker_pool import RunView


def in_notebook() -> bool:
    """Return whether this code runs in a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class ShownRun(Run):
    """A run whose figures can be shown in the notebook in which it was trained."""

    def show(self, *, height: int = DEFAULT_HEIGHT) -> Any:
        """Return the report's figures of this run, for the cell of a notebook.

        Raises:
            ConfigError: The run has no records yet, or anywidget is missing.
        """
        return show_run(self, height=height)


def show_run(run: Run, *, height: int = DEFAULT_HEIGHT) -> Any:
    """Return the report's figures of a run, for the cell of a notebook; errors are those of `ShownRun.show`."""
    page = zipped(run_page(run))
    return in_cell(lambda: page, f"The run {run.path.name}", height=height)


@functools.cache
def for_notebook(train: Callable[..., Any]) -> Callable[..., Any]:
    """Return `train` with a progress bar for every run, if it is given no view; the run it returns can be shown."""

    @functools.wraps(train)
    def train_in_notebook(*arguments: Any, **options: Any) -> Any:
        if options.get("view") is None:
            options["view"] = bar
        run = train(*arguments, **options)
        return ShownRun(run.folder) if isinstance(run, Run) else run

    return train_in_notebook


@contextlib.contextmanager
def bar(run: RunFolder) -> Iterator[RunView]:
    """Show a bar for a run, from the steps that it has reached before."""
    blocks = [len(block) for block in run.config.blocks()]
    reached = checkpoints.steps_reached(run)
    with ProgressView(run.config.total_steps, blocks, "notebook", start_steps=reached) as progress:
        yield progress
