"""What the commands have in common: how their flags are parsed, kinds of flags, and files that the user names.

Nothing here needs a library beyond the base installation's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from softstep.errors import ConfigError
from softstep.files import reason

Switch = tyro.conf.FlagCreatePairsOff[bool]
"""A flag without a `--no-` twin."""

RunPath = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
"""A run folder as the command's first argument."""

StudyPath = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="STUDY")]
"""A study's folder as the command's first argument."""

File = tyro.conf.arg(metavar="FILE")
Folder = tyro.conf.arg(metavar="FOLDER")
Episodes = tyro.conf.arg(metavar="EPISODES")


class PlainCommand:
    """Base of the commands whose flags have fixed defaults."""

    @classmethod
    def parse(cls, program: str, arguments: list[str]) -> PlainCommand:
        """Return the command that `arguments` describe; raise SystemExit for --help or an invalid flag."""
        return tyro.cli(cls, prog=program, args=arguments)


def read_user_file(path: Path, label: str) -> str:
    """Return the text of a file that the user named with `label`; raise ConfigError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {label} {path}: {reason(error)}") from None
