"""Settings as people have them at hand: with hyphens, prefixes, older names, words and units."""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from softstep.conventions.library import Library, Setting
from softstep.errors import ConfigError, near

_FOREIGN_SECTIONS = ("optim", "sched")
"""Parts of section names whose settings never belong to the target: an optimizer's `eps`, a schedule's `decay`."""
_TYPO = 0.8
"""Similarity to a known name from which on an unknown one is probably a typo of it."""


class Recognised(NamedTuple):
    """The settings of a library among settings of all kinds."""

    settings: dict[str, float]
    """Values by the library's own names."""
    renamed: dict[str, str]
    """The library's own name for every key that was written differently, except for hyphens and capitals."""
    others: list[str]
    """Keys that are not settings of the target."""


def recognise(library: Library, given: Mapping[str, Any]) -> Recognised:
    """Return the target's settings among `given`, as numbers under the library's own names.

    A key may be written with hyphens (`--target-network-frequency`), in other capitals, with the section or class that
    it belongs to (`agent.tau`, `JaxDQNAgent.update_period`) or under an alias of the library.
    Raises ConfigError if a value is invalid or two keys disagree.
    """
    settings, sources, renamed, others = dict[str, float](), dict[str, str](), dict[str, str](), list[str]()
    for key, value in given.items():
        match = _own_name(library, key)
        if match is None:
            others.append(key)
            continue
        name, is_complement = match
        number = parse_number(key, value, library.settings[name], check_range=not is_complement)
        if is_complement:
            number = _checked(key, value, 1 - number, library.settings[name])
        if settings.get(name, number) != number:
            raise ConfigError(f"{sources[name]} and {key} disagree about {name}: keep one of them")
        settings[name], sources[name] = number, key
        if _normal(key) != _normal(name):
            renamed[key] = name
    return Recognised(settings, renamed, others)


def probable_typos(library: Library, others: list[str]) -> list[str]:
    """Return those of the unknown keys that are probably settings of the library, misspelt or without their section."""
    known = [*library.settings, *library.aliases, *library.complements]
    return [key for key in others if any(_is_typo(_normal(key), _normal(name)) for name in known)]


def unknown_setting(name: str, library: Library, siblings: list[str], key: str) -> str:
    """Return the error message for a key that is not a setting of the library.

    Args:
        name: short name of the library.
        library: the library.
        siblings: short names of the library's other algorithms that have such a setting.
        key: the unknown key.
    """
    known = list(library.settings)
    if siblings:
        verb = "has" if len(siblings) == 1 else "have"
        return f"{name} has no setting {key!r}, but {' and '.join(siblings)} {verb}: use --from {siblings[0]}"
    in_full = [own for own in known if _normal(own).rpartition(".")[2] == _normal(key)]
    meant = f"; did you mean {in_full[0]!r}?" if in_full else near(key, known)
    return f"{name} has no setting {key!r}{meant}: {', '.join(known)}"


def has_setting(library: Library, key: str) -> bool:
    """Return whether `key` is a setting of the library under any spelling."""
    return _own_name(library, key) is not None


def parse_number(key: str, value: Any, setting: Setting, *, check_range: bool = True) -> float:
    """Return a value as a number: from a number, a string, a word of the library or a pair such as (4, "step").

    Raises ConfigError, naming `key`, if it is not a number, counts episodes or is outside the setting's range.
    """
    if isinstance(value, str):
        value = value.strip().strip("\"'")
        if value in setting.words:
            return setting.words[value]
        if value[:1] in ("[", "("):
            value = _literal(key, value)
    if isinstance(value, (list, tuple)):
        value = _steps(key, value)
    try:
        number = math.nan if isinstance(value, bool) else float(str(value).replace("_", ""))
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or (math.isnan(number) and str(value).casefold() != "nan"):
        words = f" or {', '.join(map(repr, setting.words))}" if setting.words else ""
        raise ConfigError(f"{key} = {value!r} is not a number{words}")
    return _checked(key, value, number, setting) if check_range else number


def _literal(key: str, text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise ConfigError(f"{key} = {text} is not a number") from None


def _steps(key: str, value: list[Any] | tuple[Any, ...]) -> Any:
    """Return the number of a pair such as (4, "step")."""
    if len(value) == 2 and str(value[1]).rstrip("s") == "step":
        return value[0]
    if len(value) == 2 and str(value[1]).rstrip("s") == "episode":
        raise ConfigError(f"{key} = {value} counts episodes, which have no fixed length: give a number of steps")
    raise ConfigError(f"{key} = {value} is not a number")


def _checked(key: str, value: Any, number: float, setting: Setting) -> float:
    if not (math.isfinite(number) and setting.minimum <= number <= setting.maximum):
        limits = f"in [{setting.minimum:g}, {setting.maximum:g}]"
        if setting.maximum > 1:
            limits = f"a finite number, at least {setting.minimum:g} and below 2**31"
        raise ConfigError(f"{key} = {value} must be {limits}")
    if setting.is_integer and number != int(number):
        raise ConfigError(f"{key} = {value} must be an integer")
    return number


def _own_name(library: Library, key: str) -> tuple[str, bool] | None:
    """Return the library's own name of a key and whether its value is 1 − that setting; None if it is unknown."""
    own = {_normal(name): name for name in library.settings}
    aliases = {_normal(alias): name for alias, name in library.aliases.items()}
    complements = {_normal(alias): name for alias, name in library.complements.items()}
    whole = _normal(key)
    if whole in complements:
        return complements[whole], True
    sections = whole.split(".")
    if any(part in section for section in sections[:-1] for part in _FOREIGN_SECTIONS):
        return None
    for k in range(len(sections)):
        spelling = ".".join(sections[k:])
        if spelling in own:
            return own[spelling], False
        if spelling in aliases:
            return aliases[spelling], False
    return None


def _normal(key: str) -> str:
    return re.sub("[/:]", ".", key.lstrip("-").replace("-", "_").casefold())


def _is_typo(key: str, name: str) -> bool:
    if key == name.rpartition(".")[2]:
        return True
    return sorted(key) == sorted(name) or difflib.SequenceMatcher(None, key, name).ratio() >= _TYPO
