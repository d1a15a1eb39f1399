"""Files that the user names: their path is checked before long work, and they are written completely or not at all."""

from __future__ import annotations

from pathlib import Path

from softstep import files
from softstep.errors import ConfigError


def check_output(path: Path) -> Path:
    """Return `path` if a file can be written there; call this before long work.

    Raises:
        ConfigError: If `path` is a folder, or if the folder that should hold it does not exist.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: the folder {path.parent} does not exist: create it first")
    return path


def write_output(path: Path, content: bytes) -> None:
    """Write `content` to `path`, or leave whatever is there as it is.

    Raises:
        ConfigError: If the file cannot be written.
    """
    try:
        files.write_atomically(check_output(path), content)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {files.reason(error)}") from None
