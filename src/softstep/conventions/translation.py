"""The equal settings of every library, each read back to see how equal they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Literal, NamedTuple

from softstep.conventions.meaning import Meaning
from softstep.conventions.reading import complete
from softstep.conventions.registry import LIBRARIES


class Translation(NamedTuple):
    """A meaning in another library's settings."""

    library: str
    settings: Mapping[str, float] | None
    """None where there are none."""
    how: Literal["equal", "same half-life", "nearest", "none"]
    """Whether they mean the same when they are read back."""
    why: str = ""
    """What would be needed, where there are none."""


def translate(meaning: Meaning) -> list[Translation]:
    """The settings of every library that mean the same, as far as it can be said there."""
    return [_translation(name, meaning) for name in LIBRARIES]


def _translation(name: str, meaning: Meaning) -> Translation:
    library = LIBRARIES[name]
    written = library.write(meaning)
    if isinstance(written, str):
        return Translation(name, None, "none", written)
    back = library.meaning(complete(name, written))
    if _close(back.env_steps_per_gradient_step, meaning.env_steps_per_gradient_step):
        if _close(back.tau, meaning.tau) and back.period == meaning.period:
            return Translation(name, written, "equal")
        if _close(back.half_life, meaning.half_life) and (meaning.tau < 1 or back.period == meaning.period):
            return Translation(name, written, "same half-life")
    return Translation(name, written, "nearest")


def _close(a: float | Fraction, b: float | Fraction) -> bool:
    return math.isclose(a, b, rel_tol=1e-9)
