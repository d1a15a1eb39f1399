"""Train in the process that asks, for those who have started JAX already."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from softstep.config import Config
from softstep.records.events import Hooks, Outcome
from softstep.runs import api as runs
from softstep.runs.api import Run
from softstep.runs.run_folder import RunFolder
from softstep.runs.worker_pool import RunView
from softstep.training.block import Shared
from softstep.worker.run_block import execute_block


def run_blocks_here(
    run: RunFolder, lock: int, view: RunView, *, workers: int | None, should_stop: Callable[[], bool]
) -> list[Outcome | None]:
    """Train every block in this process, on the devices JAX has here (`workers` is not used)."""
    outcomes: list[Outcome | None] = []
    shared = Shared()
    for block in range(len(run.config.blocks())):
        if should_stop():
            outcomes.append(None)
            continue
        outcomes.append(execute_block(run, block, _hooks(view, block, should_stop), shared))
        view.finished(block)
    return outcomes


def _hooks(view: RunView, block: int, should_stop: Callable[[], bool]) -> Hooks:
    """A view's ears on one block."""
    return Hooks(
        on_records=lambda records: view.records(block, [r._asdict() for r in records]),
        on_progress=lambda progress: view.update(block, progress),
        should_stop=should_stop,
    )


def train(config: Config, out: Path | str | None = None, **options: Any) -> Run:
    """`softstep.runs.api.train` in this process, for those who have started JAX already."""
    warnings.warn(
        "jax is already running in this process, so softstep trains here, on its devices and threads; train before"
        " importing jax, or with `softstep train`, for one-thread worker processes (faster for small networks)",
        RuntimeWarning,
        stacklevel=2,
    )
    return runs.train(config, out, execute=run_blocks_here, **options)
