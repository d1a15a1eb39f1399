"""Atomic writing of files, and the folder for those that may be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path

from softstep.errors import StoreError


def cache_folder() -> Path:
    """Return the folder in which softstep keeps compiled programs, and logs of failures that left no run folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "softstep"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a complete file or none: write and sync a temporary file, rename it, and sync the folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_file(path: Path, data: bytes) -> None:
    """Write a complete file; its folder is created if it is missing.

    Raises:
        StoreError: If the file cannot be written; an earlier file of that name is intact.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}; the previous file is intact") from None
