"""Run one block of a run folder: from its newest checkpoint, if it has one, to its end."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from softstep import envs, runs, store
from softstep.config import Config
from softstep.events import Hooks, Outcome, Restored, Snapshot
from softstep.population import View
from softstep.runs import Run
from softstep.store import CheckpointWriter, RunFolder
from softstep.training import run_block


def execute_block(run: RunFolder, block: int, hooks: Hooks) -> Outcome:
    """Train block number `block` of the run, saving checkpoints; resumes where there is one."""
    agents = run.config.blocks()[block]
    spec = envs.describe(run.config)
    if block == 0 and not spec.exactly_resumable:
        warnings.warn(
            f"{spec.name} does not replay its episodes exactly: a resumed run would start new ones, and differ",
            RuntimeWarning,
            stacklevel=2,
        )
    found = store.read_checkpoint(run, block)
    restored = None
    if found is not None:
        store.drop_after(run, block, found.env_steps)
        restored = Restored(found.arrays, found.rows)
    writer = CheckpointWriter(run, block)

    def save(snapshot: Snapshot) -> None:
        writer.write(snapshot.env_steps, snapshot.arrays, snapshot.new_rows)

    try:
        return run_block(run.config, agents, spec, dataclasses.replace(hooks, on_checkpoint=save), restored)
    finally:
        writer.close()


def run_blocks_here(
    run: RunFolder, lock: int, view: View, *, workers: int | None, should_stop: Callable[[], bool]
) -> list[Outcome | None]:
    """Train every block in this process, on the devices JAX has here (`workers` is not used)."""
    outcomes: list[Outcome | None] = []
    for block in range(len(run.config.blocks())):
        if should_stop():
            outcomes.append(None)
            continue
        outcomes.append(execute_block(run, block, _hooks(view, block, should_stop)))
        view.finished(block)
    return outcomes


def _hooks(view: View, block: int, should_stop: Callable[[], bool]) -> Hooks:
    """A view's ears on one block."""
    return Hooks(
        on_records=lambda records: view.records(block, [r._asdict() for r in records]),
        on_progress=lambda progress: view.update(block, progress),
        should_stop=should_stop,
    )


def train(config: Config, out: Path | str | None = None, **options: Any) -> Run:
    """`softstep.runs.train` in this process, for those who have started JAX already."""
    warnings.warn(
        "jax is already running in this process, so softstep trains here, on its devices and threads; train before"
        " importing jax, or with `softstep train`, for one-thread worker processes (faster for small networks)",
        RuntimeWarning,
        stacklevel=2,
    )
    return runs.train(config, out, execute=run_blocks_here, **options)
