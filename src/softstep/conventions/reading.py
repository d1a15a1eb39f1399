"""Settings as a user gives them, checked and completed."""

from __future__ import annotations

import math
from collections.abc import Mapping

from softstep.config import ConfigError, near
from softstep.conventions.library import Setting
from softstep.conventions.meaning import Meaning
from softstep.conventions.registry import library

_WEIGHTS = ("tau", "TAU", "polyak", "decay", "eps", "step_size", "target.tau", "c")


def read(name: str, given: Mapping[str, float | str]) -> Meaning:
    """What settings of the library `name` mean; those not given have its defaults. ConfigError for a wrong one."""
    return library(name).meaning(complete(name, given))


def complete(name: str, given: Mapping[str, float | str]) -> dict[str, float]:
    """All settings of a library as numbers, defaults included."""
    known = library(name).settings
    for key in given:
        if key not in known:
            raise ConfigError(f"{name} has no setting {key!r}{near(key, list(known))}: {', '.join(known)}")
    found = {key: _number(key, given[key], setting) for key, setting in known.items() if key in given}
    missing = [key for key, setting in known.items() if key not in found and setting.default is None]
    if missing:
        raise ConfigError(f"{name} needs {missing[0]}, for example {missing[0]}=0.005")
    return {key: found.get(key, setting.default or 0.0) for key, setting in known.items()}


def _number(key: str, value: float | str, setting: Setting) -> float:
    try:
        number = float(str(value).replace("_", ""))
    except ValueError:
        raise ConfigError(f"{key} = {value!r} is no number") from None
    least = -1 if key == "gradient_steps" else 0
    if not math.isfinite(number) or number < least:
        raise ConfigError(f"{key} = {value} must be a finite number, at least {least}")
    if setting.whole and number != int(number):
        raise ConfigError(f"{key} = {value} must be a whole number")
    if not setting.whole and key in _WEIGHTS and number > 1:
        raise ConfigError(f"{key} = {value} must be in [0, 1]: it is a weight")
    return number
