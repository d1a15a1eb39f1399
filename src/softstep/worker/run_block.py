"""Run one block of a run folder: from its newest checkpoint, if it has one, to its end."""

from __future__ import annotations

import dataclasses
import warnings

from softstep import envs
from softstep.records.events import Hooks, Outcome, Restored, Snapshot
from softstep.runs import checkpoints
from softstep.runs.checkpoints import CheckpointWriter
from softstep.runs.run_folder import RunFolder
from softstep.training.block import Shared
from softstep.training.loop import run_block


def execute_block(run: RunFolder, block: int, hooks: Hooks, shared: Shared | None = None) -> Outcome:
    """Train block number `block` of the run, saving checkpoints; resumes where there is one.

    `shared` is for the other blocks of this run in this process.
    """
    agents, shared = run.config.blocks()[block], shared or Shared()
    spec = shared(envs.describe, run.config)
    if block == 0 and not spec.exactly_resumable:
        warnings.warn(
            f"{spec.name} does not replay its episodes exactly: a resumed run would start new ones, and differ",
            RuntimeWarning,
            stacklevel=2,
        )
    found = checkpoints.read_checkpoint(run, block)
    restored = None
    if found is not None:
        checkpoints.delete_checkpoints_after(run, block, found.env_steps)
        restored = Restored(found.arrays, found.rows)
    writer = CheckpointWriter(run, block)

    def save(snapshot: Snapshot) -> None:
        writer.write(snapshot.env_steps, snapshot.arrays, snapshot.new_rows)

    try:
        return run_block(run.config, agents, spec, dataclasses.replace(hooks, on_checkpoint=save), restored, shared)
    finally:
        writer.close()
