"""Train in the calling process, for callers that have already started JAX."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from softstep.config import Config
from softstep.records.events import Hooks, Outcome
from softstep.runs import api
from softstep.runs.api import Run
from softstep.runs.run_folder import RunFolder
from softstep.runs.worker_pool import RunView
from softstep.training.program_cache import ProgramCache
from softstep.worker.run_block import execute_block


def run_blocks_here(
    run: RunFolder, lock: int, view: RunView, *, workers: int | None, should_stop: Callable[[], bool]
) -> list[Outcome | None]:
    """Train every block in this process, on the devices that JAX has here.

    Args:
        run: the run's folder.
        lock: file descriptor of the folder's lock; not used.
        view: the observer.
        workers: not used.
        should_stop: polled during training.
    """
    outcomes: list[Outcome | None] = []
    cache = ProgramCache()
    for block in range(len(run.config.blocks())):
        if should_stop():
            outcomes.append(None)
            continue
        outcomes.append(execute_block(run, block, _hooks(view, block, should_stop), cache))
        view.finished(block)
    return outcomes


def _hooks(view: RunView, block: int, should_stop: Callable[[], bool]) -> Hooks:
    """Return the callbacks by which a view follows one block."""
    return Hooks(
        on_records=lambda records: view.records(block, [r._asdict() for r in records]),
        on_progress=lambda progress: view.update(block, progress),
        should_stop=should_stop,
    )


def train(config: Config, out: Path | str | None = None, **options: Any) -> Run:
    """Train as `softstep.runs.api.train` does, in this process."""
    warnings.warn(
        "jax is already running in this process, so softstep trains here, on its devices and threads; train before"
        " importing jax, or with `softstep train`, for one-thread worker processes (faster for small networks)",
        RuntimeWarning,
        stacklevel=2,
    )
    return api.train(config, out, execute=run_blocks_here, **options)
