"""Save a live run as an ordinary run folder; its configuration lists every change with its step, for exact replay."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from softstep.errors import ConfigError
from softstep.records.history import History
from softstep.runs import checkpoints, run_folder
from softstep.runs.checkpoints import CheckpointWriter
from softstep.runs.tables import make_tables, write_tables
from softstep.training.recording import record
from softstep.training.trainer import Trainer, snapshot_arrays


def save_run(trainer: Trainer, path: Path) -> None:
    """Write the run so far as a finished run of that length; the trainer is left unchanged.

    Raises:
        ConfigError: Nothing has been trained yet.
        StoreError: The folder exists or cannot be written.
    """
    if trainer.env_steps == 0:
        raise ConfigError("nothing has been trained yet: let it run first")
    config = dataclasses.replace(trainer.config, total_steps=trainer.env_steps)
    folder = run_folder.create(path, config)
    with run_folder.locked(path), _final_record(trainer):
        driver, writer = trainer.driver, CheckpointWriter(folder, 0)
        try:
            arrays = snapshot_arrays(trainer)
            writer.write(trainer.env_steps, arrays, driver.new_rows(np.zeros_like(driver.written())))
        finally:
            writer.close()
        history = History.from_arrays(arrays)
        write_tables(folder, make_tables(folder, [history]), {"finished": True, "live": True})
        checkpoints.delete_replay(folder)


@contextlib.contextmanager
def _final_record(trainer: Trainer) -> Iterator[None]:
    """Add the record that a run ending at this step would have, and remove it on exit."""
    history, state = trainer.history, trainer.driver.state
    count = len(history.records)
    try:
        if not history.records or history.records[-1].env_steps < trainer.env_steps:
            record(trainer)
        yield
    finally:
        del history.records[count:]
        trainer.driver.state = state
