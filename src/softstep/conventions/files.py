"""Settings in the files that libraries use: YAML, TOML, JSON and gin."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from softstep.errors import ConfigError, near
from softstep.extras import required_by


def parse_settings(text: str, file_format: str, entry: str | None = None) -> dict[str, Any]:
    """Return the settings of a file, nested sections as dotted names.

    Args:
        text: contents of the file.
        file_format: ending of its name: yml, yaml, toml, json or gin.
        entry: section to read, for example CartPole-v1 or agent.dqn; None reads the whole file.

    Raises:
        ConfigError: the format is unknown, the text is invalid, or the file has no such section.
    """
    if file_format not in _PARSERS:
        raise ConfigError(f"files of the format {file_format!r} cannot be read: give one of {', '.join(_PARSERS)}")
    content = _PARSERS[file_format](text)
    if not isinstance(content, Mapping):
        raise ConfigError("the file must hold settings by name")
    if entry is not None:
        content = _section(content, entry)
    elif content and all(isinstance(section, Mapping) for section in content.values()) and len(content) > 1:
        raise ConfigError(f"the file has several sections: give --entry, one of {', '.join(map(str, content))}")
    return dict(_flat(content))


def _section(content: Mapping[str, Any], entry: str) -> Mapping[str, Any]:
    if isinstance(content.get(entry), Mapping):
        return content[entry]
    section: Any = content
    for part in entry.split("."):
        section = section.get(part) if isinstance(section, Mapping) else None
    if not isinstance(section, Mapping):
        entries = [str(key) for key, value in content.items() if isinstance(value, Mapping)]
        raise ConfigError(f"--entry {entry} is not a section of the file{near(entry, entries)}: {', '.join(entries)}")
    return section


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _yaml(text: str) -> Any:
    with required_by("reading YAML files"):
        import yaml  # type: ignore[import-untyped]
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"the file is not valid YAML: {' '.join(str(error).split())}") from None


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the file is not valid TOML: {error}") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"the file is not valid JSON: {error}") from None


def _gin(text: str) -> dict[str, str]:
    """Return the bindings of a gin file that fit in one line; macros (%NAME) are replaced."""
    bindings = {}
    for line in text.splitlines():
        name, equals, value = line.partition("#")[0].partition("=")
        if equals and name.strip() and not line.startswith((" ", "\t")):
            bindings[name.strip()] = value.strip()
    return {name: bindings.get(value[1:], value) if value[:1] == "%" else value for name, value in bindings.items()}


_PARSERS = {"yml": _yaml, "yaml": _yaml, "toml": _toml, "json": _json, "gin": _gin}
