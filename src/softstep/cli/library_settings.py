"""Settings of another library as the user gives them: words NAME=VALUE, and a file that they override."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import softstep
from softstep.cli.command import read_user_file
from softstep.errors import ConfigError

if TYPE_CHECKING:
    from softstep.conventions.spelling import Recognised


class LibrarySettings(NamedTuple):
    """The settings of a run."""

    recognised: Recognised
    """Those of the target, under the library's own names."""
    everything: dict[str, Any]
    """Settings of all kinds, as they are written; the target's under the library's own names."""


def library_settings(library: str, words: tuple[str, ...], file: Path | None, entry: str | None) -> LibrarySettings:
    """Return the settings from the file and from the command line, which overrides it.

    Args:
        library: short name of the library.
        words: settings as NAME=VALUE.
        file: file of settings: YAML, TOML, JSON or gin.
        entry: section of the file.

    Raises:
        ConfigError: the file cannot be read, has no such section, or a setting is invalid.
    """
    given = _named(words)
    typed = softstep.conventions.select(library, given, typed=True)
    if file is None:
        if entry is not None:
            raise ConfigError(f"--entry {entry} is a section of a file: give --file too")
        return LibrarySettings(typed, _others(given, typed) | typed.settings)
    text = read_user_file(file, "--file")
    try:
        content = softstep.conventions.parse_settings(text, file.suffix[1:].lower(), entry)
        stored = softstep.conventions.select(library, content, typed=False)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None
    both = type(typed)(
        stored.settings | typed.settings, stored.renamed | typed.renamed, [*stored.others, *typed.others]
    )
    return LibrarySettings(both, _others(content, stored) | _others(given, typed) | both.settings)


def _others(given: dict[str, Any], recognised: Recognised) -> dict[str, Any]:
    return {key: given[key] for key in recognised.others}


def _named(words: tuple[str, ...]) -> dict[str, str]:
    settings = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} must be NAME=VALUE, for example tau=0.005")
        settings[name] = value
    return settings
