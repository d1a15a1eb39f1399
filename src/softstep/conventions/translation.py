"""The equivalent settings of every library, each read back to see how well they agree."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Literal, NamedTuple

from softstep.conventions.meaning import Meaning
from softstep.conventions.reading import complete
from softstep.conventions.registry import LIBRARIES
from softstep.errors import ConfigError


class Translation(NamedTuple):
    """A meaning in another library's settings."""

    library: str
    settings: Mapping[str, float] | None
    """None if the library cannot express the meaning."""
    how: Literal["equal", "same half-life", "nearest", "none"]
    """How well the settings agree with the meaning when they are read back."""
    why: str = ""
    """The reason, if there are no settings."""


def translate(meaning: Meaning) -> list[Translation]:
    """Return, for every library, the settings with the same or the nearest meaning."""
    return [_translation(name, meaning) for name in LIBRARIES]


def _translation(name: str, meaning: Meaning) -> Translation:
    library = LIBRARIES[name]
    settings = library.write(meaning)
    if isinstance(settings, str):
        return Translation(name, None, "none", settings)
    try:
        reread = library.meaning(complete(name, settings))
    except ConfigError as error:
        return Translation(name, None, "none", str(error))
    if _close(reread.env_steps_per_gradient_step, meaning.env_steps_per_gradient_step):
        if _close(reread.tau, meaning.tau) and reread.period == meaning.period:
            return Translation(name, settings, "equal")
        if _close(reread.half_life, meaning.half_life) and (meaning.tau < 1 or reread.period == meaning.period):
            return Translation(name, settings, "same half-life")
    return Translation(name, settings, "nearest")


def _close(a: float | Fraction, b: float | Fraction) -> bool:
    return math.isclose(a, b, rel_tol=1e-9)
