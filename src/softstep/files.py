"""Atomic writing of files."""

from __future__ import annotations

import os
from pathlib import Path

from softstep.errors import StoreError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or none: temporary file, fsync, rename, fsync of the folder."""
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


def write_file(folder: Path, name: str, data: bytes) -> None:
    """Write a whole file into a folder that need not be a run's, made where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / name, data)
    except OSError as error:
        raise StoreError(f"cannot write {folder / name}: {error.strerror}; what was there is intact") from None
