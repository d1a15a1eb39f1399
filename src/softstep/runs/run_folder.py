"""Run folders: creating, opening and locking them, and the result files in them.

    config.json  versions.json  summary.json  lock
    registration.json                    what the environment's id stood for when the run was started
    logged.json                          where the records go beside the tables, and the run's name there, if anywhere
    tensorboard/  wandb/                 files of those loggers
    error.log                            tracebacks of the failures that ended the run, if any
    checkpoint-BLOCK-STEPS.safetensors   everything except the replay's rows; the last two of each block
    replay-BLOCK-NUMBER.rows             append-only segments of replay rows
    best_returns.json                    the best checkpoints on fresh episodes, once somebody has asked for them
    curves.parquet  episodes.parquet     written from the checkpoints when a run ends or is interrupted

Every file is either written atomically (temporary file, fsync, rename), or appended to, with its length and checksum
stored in a checkpoint. Nothing in a run folder is ever imported, executed or unpickled. `checkpoints` and `tables`
hold the code for their files; no other package touches a run folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from softstep.config import Config
from softstep.errors import ConfigError, StoreError
from softstep.files import json_text, reason, write_atomically
from softstep.runs.descriptors import make_private, release
from softstep.runs.device import Device
from softstep.runs.versions import versions

LOCK_PATIENCE = 3.0
"""Seconds to wait for a folder's lock: the workers of a killed run need a moment to end."""


@dataclass(frozen=True)
class RunFolder:
    """An existing run folder and its configuration."""

    path: Path
    """Absolute: the environment's code may change the working directory."""
    config: Config

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path.absolute())


def create(
    path: Path,
    config: Config,
    *,
    force: bool = False,
    files: Mapping[str, bytes] | None = None,
    device: Device = "cpu",
) -> RunFolder:
    """Create a run folder.

    Args:
        path: the folder; it must not exist, or be empty.
        config: the run's configuration.
        force: replace an existing run. It stays beside the new one, hidden, until `finish_creation` or
            `undo_creation`. Anything else than a run is never replaced.
        files: further files to write, by name.
        device: where the run is to be computed; `versions.json` says so.

    Raises: StoreError if the folder is taken or cannot be written.
    """
    check_free(path, force=force)
    recorded = versions(config, device)  # before anything is moved, because it may refuse the environment's settings
    if _taken(path):
        with locked(path):
            shutil.rmtree(_replaced(path), ignore_errors=True)
            path.rename(_replaced(path))
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name, data in (files or {}).items():
            write_atomically(path / name, data)
        write_atomically(path / "versions.json", json_text(recorded, indent=2).encode())
        write_atomically(
            path / "config.json", config.to_json().encode()
        )  # last, because this file makes the folder a run
    except OSError as error:
        raise StoreError(f"cannot write {path}: {reason(error)}") from None
    return RunFolder(path, config)


def check_free(path: Path, *, force: bool | None = False) -> None:
    """Raise StoreError if `create` would refuse the folder; `force` is None for commands without --force."""
    if not _taken(path):
        return
    if not force:
        replace = "" if force is None else ", or replace it with --force"
        raise StoreError(f"{path} exists already: choose another --out{replace}")
    if not is_run(path):
        raise StoreError(f"{path} is not a run folder, so --force will not replace it: choose another --out")


def _taken(path: Path) -> bool:
    return path.exists() and (not path.is_dir() or any(path.iterdir()))


def _replaced(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


def finish_creation(run: RunFolder) -> None:
    """Keep the new run: delete the one it replaced, if any."""
    shutil.rmtree(_replaced(run.path), ignore_errors=True)


def undo_creation(run: RunFolder) -> None:
    """Give up the new run: delete its folder and restore the run it replaced."""
    shutil.rmtree(run.path)
    if _replaced(run.path).exists():
        _replaced(run.path).rename(run.path)


def is_run(path: Path) -> bool:
    """Return whether the folder holds a run."""
    return (path / "config.json").is_file()


def open_run(path: Path | str) -> RunFolder:
    """Open a run folder; StoreError if it is not one, is newer than this softstep, or is damaged."""
    path = Path(path)
    file = path / "config.json"
    if not is_run(path):
        raise StoreError(f"{path} is not a run folder (no config.json in it): `softstep runs` lists those there are")
    try:
        return RunFolder(path, Config.from_json(file.read_text(), source=str(file)))
    except (ConfigError, UnicodeDecodeError) as error:
        raise StoreError(f"{error}") from None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Lock a run folder for writing; yields the lock's file descriptor, which worker processes get too.

    Processes that the environment's code starts do not.
    """
    with (path / "lock").open("a") as handle:
        deadline = time.monotonic() + LOCK_PATIENCE
        while not _try_lock(handle):
            if time.monotonic() > deadline:
                raise StoreError(f"{path} is being written by another softstep: wait for it, or stop it")
            time.sleep(0.05)
        descriptor = make_private(handle.fileno())
        try:
            yield descriptor
        finally:
            release(descriptor)


def _try_lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def write_results(run: RunFolder, files: Mapping[str, bytes]) -> None:
    """Write result files into the folder, each atomically."""
    try:
        for name, data in files.items():
            write_atomically(run.path / name, data)
    except OSError as error:
        raise StoreError(f"cannot write to {run.path}: {reason(error)}; the checkpoints are intact") from None


def read_result(path: Path, name: str) -> str | None:
    """Return a text file of a run folder; None if there is no such file."""
    file = path / name
    return file.read_text(encoding="utf-8") if file.is_file() else None


def read_summary(run: RunFolder) -> dict[str, Any] | None:
    """Return `summary.json`; None before the run has ended or been interrupted."""
    try:
        return dict(json.loads((run.path / "summary.json").read_text()))
    except (OSError, json.JSONDecodeError):
        return None


def blocks_in_tables(run: RunFolder) -> list[bool]:
    """Return which blocks' ends are in the tables: none after a kill between last checkpoint and tables."""
    outcomes = (read_summary(run) or {}).get("blocks") or [None] * len(run.config.blocks())
    end = run.config.iterations * run.config.steps_per_iteration
    return [outcome is not None and outcome["env_steps"] >= end and not outcome["stopped"] for outcome in outcomes]


def delete_temporary_files(run: RunFolder) -> None:
    """Delete the temporary files of killed writers; the caller must hold the lock."""
    for leftover in run.path.glob(".*.tmp"):
        leftover.unlink()
