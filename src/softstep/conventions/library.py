"""What a library's convention consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from softstep.conventions.meaning import Meaning

Settings = Mapping[str, float]
Written = dict[str, float] | str
"""Settings, or why there are none."""


@dataclass(frozen=True)
class Setting:
    """One setting."""

    default: float | None
    """None: it must be given."""
    whole: bool = True
    """Whether it counts something."""


@dataclass(frozen=True)
class Library:
    """A library's convention."""

    title: str
    version: str
    source: str
    """File and lines that the rules were read from."""
    settings: Mapping[str, Setting]
    weighs: str
    """The setting that is a weight, and of what: `tau: new` or `polyak: old`; empty for hard copies alone."""
    clock: str
    """What its period counts."""
    meaning: Callable[[Settings], Meaning]
    write: Callable[[Meaning], Written]
    remarks: tuple[str, ...] = ()
    """What is peculiar about it."""
    older: bool = False
    """Whether its target gets the network from before the gradient step that is due at the same moment."""
