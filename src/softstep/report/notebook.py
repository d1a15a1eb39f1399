"""Training in a notebook: a progress bar, unless the caller observes the run himself."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

from softstep.report.terminal.progress import ProgressView
from softstep.runs import checkpoints
from softstep.runs.run_folder import RunFolder
from softstep.runs.worker_pool import RunView


def in_notebook() -> bool:
    """Return whether this code runs in a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


@functools.cache
def with_bar(train: Callable[..., Any]) -> Callable[..., Any]:
    """Return `train` with a progress bar for every run that it trains, if it is given no view."""

    @functools.wraps(train)
    def train_with_bar(*arguments: Any, **options: Any) -> Any:
        if options.get("view") is None:
            options["view"] = bar
        return train(*arguments, **options)

    return train_with_bar


@contextlib.contextmanager
def bar(run: RunFolder) -> Iterator[RunView]:
    """Show a bar for a run, from the steps that it has reached before."""
    blocks = [len(block) for block in run.config.blocks()]
    reached = checkpoints.steps_reached(run)
    with ProgressView(run.config.total_steps, blocks, "notebook", start_steps=reached) as progress:
        yield progress
