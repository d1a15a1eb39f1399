"""A picture's file appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from softstep.errors import ConfigError


def checked(out: Path) -> Path:
    """`out`, if a file can be written there; ConfigError where not. Asked before long work."""
    if out.is_dir():
        raise ConfigError(f"{out} is a folder: name a file in it")
    if not out.parent.is_dir():
        raise ConfigError(f"{out}: the folder {out.parent} does not exist: make it first")
    return out


def write_whole(out: Path, content: bytes) -> None:
    """Write beside `out`, then rename."""
    temporary = checked(out).with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, out)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
