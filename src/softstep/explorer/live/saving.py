"""A live run as an ordinary run folder: its configuration holds every change with its step, so it can be replayed."""

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
from softstep.training import loop
from softstep.training.loop import Trainer


def save(trainer: Trainer, path: Path) -> None:
    """Write the run so far, as if it had been a run of that length; the trainer goes on as if nothing had been.

    Errors: ConfigError where nothing has been trained yet; StoreError where the folder exists or cannot be written.
    """
    if trainer.env_steps == 0:
        raise ConfigError("nothing has been trained yet: let it run first")
    config = dataclasses.replace(trainer.config, total_steps=trainer.env_steps)
    folder = run_folder.create(path, config)
    with run_folder.locked(path), _ended(trainer):
        driver, writer = trainer.driver, CheckpointWriter(folder, 0)
        try:
            arrays = loop.snapshot_arrays(trainer)
            writer.write(trainer.env_steps, arrays, driver.new_rows(np.zeros_like(driver.written())))
        finally:
            writer.close()
        log = History.from_arrays(arrays)
        write_tables(folder, make_tables(folder, [log]), {"finished": True, "live": True})
        checkpoints.delete_replay(folder)


@contextlib.contextmanager
def _ended(trainer: Trainer) -> Iterator[None]:
    """The trainer with the last record that a run ending here has; afterwards without it again."""
    log, state = trainer.history, trainer.driver.state
    count = len(log.records)
    try:
        if not log.records or log.records[-1].env_steps < trainer.env_steps:
            loop.record(trainer)
        yield
    finally:
        del log.records[count:]
        trainer.driver.state = state
