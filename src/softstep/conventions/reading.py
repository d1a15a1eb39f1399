"""Settings as a user writes them, checked and completed by defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softstep.conventions.meaning import Meaning
from softstep.conventions.registry import LIBRARIES, get_library
from softstep.conventions.spelling import Recognised, has_setting, probable_typos, recognise, unknown_setting
from softstep.errors import ConfigError

LONGEST_PERIOD = 2**31
"""Gradient steps from which on a period is refused, as `TargetUpdate` does."""


def read(name: str, given: Mapping[str, Any]) -> Meaning:
    """Return the meaning of settings of the library `name`; missing ones take the library's defaults.

    Raises ConfigError if a setting is unknown, missing or invalid.
    """
    meaning = get_library(name).meaning(complete(name, given))
    if meaning.period >= LONGEST_PERIOD:
        raise ConfigError(f"the target moves every {float(meaning.period):.3g} gradient steps: it must be below 2**31")
    return meaning


def complete(name: str, given: Mapping[str, Any]) -> dict[str, float]:
    """Return all settings of the library `name` as numbers, including defaults.

    Raises ConfigError if a setting is unknown, missing or invalid.
    """
    library = get_library(name)
    values, _, others = recognise(library, given)
    if others:
        raise ConfigError(_unknown(name, others[0]))
    missing = [key for key, setting in library.settings.items() if key not in values and setting.default is None]
    if missing:
        example = 1000 if library.settings[missing[0]].is_integer else 0.005
        raise ConfigError(f"{name} needs {missing[0]}, for example {missing[0]}={example}")
    return {key: values.get(key, setting.default or 0.0) for key, setting in library.settings.items()}


def select(name: str, given: Mapping[str, Any], *, typed: bool) -> Recognised:
    """Return the settings of the target among all settings of a run; those of other things are passed over.

    Args:
        name: short name of the library.
        given: settings of all kinds by name.
        typed: whether a person typed them: a name that is nearly right is then refused instead of passed over.

    Raises:
        ConfigError: a value is invalid, two keys disagree, a typed name is nearly right, or a name belongs to another
            algorithm of the library.
    """
    library = get_library(name)
    recognised = recognise(library, given)
    misplaced = [key for key in recognised.others if _siblings(name, key)]
    typos = probable_typos(library, recognised.others) if typed else []
    for key in [*misplaced, *typos]:
        raise ConfigError(_unknown(name, key))
    return recognised


def _unknown(name: str, key: str) -> str:
    return unknown_setting(name, get_library(name), _siblings(name, key), key)


def _siblings(name: str, key: str) -> list[str]:
    """Return the other algorithms of the same library that have this setting, unless it is known not to matter."""
    if key.lstrip("-").replace("-", "_") in get_library(name).without_effect:
        return []
    family = name.partition("-")[0]
    others = [other for other in LIBRARIES if other.partition("-")[0] == family and other != name]
    return [other for other in others if has_setting(LIBRARIES[other], key)]
