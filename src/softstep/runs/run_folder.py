"""Run folders: the only reader and writer of their files.

    config.json  versions.json  summary.json  lock
    checkpoint-BLOCK-STEPS.safetensors   everything but the replay's rows; the last two of each block
    replay-BLOCK-NUMBER.rows             append-only segments of replay rows
    curves.parquet  episodes.parquet     written from the checkpoints when a run ends or is interrupted

Every file is written whole (temporary file, fsync, rename) or appended to and described by a checkpoint with its
length and checksum. Nothing in a run folder is ever imported, executed or unpickled.
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
from softstep.files import write_atomically
from softstep.runs.versions import versions

LOCK_PATIENCE = 3.0
"""Seconds to wait for a folder's lock: a killed run's workers need a moment to end."""


@dataclass(frozen=True)
class RunFolder:
    """An existing run folder and its configuration."""

    path: Path
    config: Config


def create(path: Path, config: Config, *, force: bool = False, files: Mapping[str, bytes] | None = None) -> RunFolder:
    """A new run folder with further `files`; an existing run is replaced only with `force`, anything else never.

    A replaced run lies beside the new one, hidden, until `settle_creation` or `undo_creation`.
    """
    check_free(path, force=force)
    if _taken(path):
        with locked(path):
            shutil.rmtree(_replaced(path), ignore_errors=True)
            path.rename(_replaced(path))
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name, data in (files or {}).items():
            write_atomically(path / name, data)
        write_atomically(path / "versions.json", json.dumps(versions(config), indent=2).encode())
        write_atomically(path / "config.json", config.to_json().encode())  # the last: with it the folder is a run
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from None
    return RunFolder(path, config)


def check_free(path: Path, *, force: bool = False) -> None:
    """StoreError where `create` would refuse the folder."""
    if not _taken(path):
        return
    if not force:
        raise StoreError(f"{path} exists already: choose another --out, or replace it with --force")
    if not is_run(path):
        raise StoreError(f"{path} is not a run folder, so --force will not replace it: choose another --out")


def _taken(path: Path) -> bool:
    return path.exists() and (not path.is_dir() or any(path.iterdir()))


def _replaced(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


def finish_creation(run: RunFolder) -> None:
    """The new run stands: delete the one it replaced, if any."""
    shutil.rmtree(_replaced(run.path), ignore_errors=True)


def undo_creation(run: RunFolder) -> None:
    """The new run cannot be: remove its folder, and put back the run it replaced."""
    shutil.rmtree(run.path)
    if _replaced(run.path).exists():
        _replaced(run.path).rename(run.path)


def is_run(path: Path) -> bool:
    """Whether a run has begun in this folder."""
    return (path / "config.json").is_file()


def open_run(path: Path | str) -> RunFolder:
    """An existing run folder; StoreError where it is none, newer than this softstep, or damaged."""
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
    """Be the only writer of a run folder; yields the lock's file descriptor, for worker processes to inherit."""
    with (path / "lock").open("a") as handle:
        deadline = time.monotonic() + LOCK_PATIENCE
        while not _try_lock(handle):
            if time.monotonic() > deadline:
                raise StoreError(f"{path} is being written by another softstep: wait for it, or stop it")
            time.sleep(0.05)
        yield handle.fileno()


def _try_lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def write_results(run: RunFolder, files: Mapping[str, bytes]) -> None:
    """Write whole files of results into the folder."""
    try:
        for name, data in files.items():
            write_atomically(run.path / name, data)
    except OSError as error:
        raise StoreError(f"cannot write to {run.path}: {error.strerror}; the checkpoints are intact") from None


def read_result(path: Path, name: str) -> str | None:
    """A text file of a run folder; None where there is none."""
    file = path / name
    return file.read_text(encoding="utf-8") if file.is_file() else None


def read_summary(run: RunFolder) -> dict[str, Any] | None:
    """`summary.json`; None while the run has not come to rest."""
    try:
        return dict(json.loads((run.path / "summary.json").read_text()))
    except (OSError, json.JSONDecodeError):
        return None


def blocks_in_tables(run: RunFolder) -> list[bool]:
    """Which blocks' ends are in the tables; a run killed between its last checkpoint and its tables has none."""
    outcomes = (read_summary(run) or {}).get("blocks") or [None] * len(run.config.blocks())
    end = run.config.iterations * run.config.steps_per_iteration
    return [outcome is not None and outcome["env_steps"] >= end for outcome in outcomes]


def delete_temporary_files(run: RunFolder) -> None:
    """Remove the temporary files of writers that were killed; only for who holds the lock."""
    for leftover in run.path.glob(".*.tmp"):
        leftover.unlink()
