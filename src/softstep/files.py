"""Atomic writing of files, the one writer of JSON, and the folder for files that may be deleted at any time."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softstep.errors import StoreError


def cache_folder() -> Path:
    """Return the folder in which softstep keeps compiled programs, and logs of failures that left no run folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "softstep"


def reason(error: Exception) -> str:
    """Return why a file could not be read or written, without the error's number and the file's name."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    return getattr(error, "strerror", None) or str(error)


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
        raise StoreError(f"cannot write {path}: {reason(error)}; the previous file is intact") from None


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return strict JSON, which has no NaN and no infinity: a number that is not finite becomes null."""
    return json.dumps(plain_value(value), indent=indent, allow_nan=False)


def canonical_json(value: Any) -> str:
    """Return strict JSON with sorted keys and without spaces: equal values have equal texts, and so equal hashes."""
    return json.dumps(plain_value(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def plain_value(value: Any) -> Any:
    """Return a value without NumPy's types, and with None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain_value(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(part) for part in value]
    if hasattr(value, "dtype"):  # NumPy's numbers, whose float64 is a float as well
        return plain_value(value.item())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
