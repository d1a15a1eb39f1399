"""The parts of a library's convention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from softstep.conventions.meaning import Meaning

Settings = Mapping[str, float]
"""A library's settings by name."""
SettingsOrReason = dict[str, float] | str
"""The settings that express a meaning, or the reason why there are none."""


@dataclass(frozen=True)
class Setting:
    """One setting of a library."""

    default: float | None
    """The library's default; None if the setting is required."""
    is_integer: bool = True
    """Whether it takes integers only."""
    minimum: float = 1
    """The smallest value that the library accepts."""
    maximum: float = 2**31 - 1
    """The largest value that the library accepts."""
    words: Mapping[str, float] = field(default_factory=dict)
    """Words that the library accepts instead of a number, and the numbers that stand for them here."""


@dataclass(frozen=True)
class Library:
    """A library's convention."""

    title: str
    """Name of the library and its algorithm."""
    version: str
    """Version or commit that the rules were read from."""
    source: str
    """File and lines that the rules were read from."""
    settings: Mapping[str, Setting]
    """The settings by name."""
    weighs: str
    """The setting that is a weight, and what it weighs: `tau: new` or `polyak: old`; empty if there are only copies."""
    clock: str
    """The unit of the library's period."""
    meaning: Callable[[Settings], Meaning]
    """Translates complete settings to their meaning."""
    write: Callable[[Meaning], SettingsOrReason]
    """Translates a meaning to the nearest settings, or to the reason why there are none."""
    remarks: tuple[str, ...] = ()
    """Peculiarities of the library."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names of the settings, for example in older versions or in the library's own configuration files."""
    complements: Mapping[str, str] = field(default_factory=dict)
    """Names whose value is 1 minus that setting."""
    without_effect: tuple[str, ...] = ()
    """Settings of the library that resemble a setting of the target but have no effect on it."""
    older: bool = False
    """Whether every gradient step sees a target one step older: y is computed, then T moves, then Q steps with that y.

    A target that merely moves at the start of an iteration is not older: nothing lies between its move and its use.
    """
