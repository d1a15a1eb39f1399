"""Settings as a user writes them, checked and completed by defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping

from softstep.conventions.library import Setting
from softstep.conventions.meaning import Meaning
from softstep.conventions.registry import get_library
from softstep.errors import ConfigError, near

_WEIGHTS = ("tau", "TAU", "polyak", "decay", "eps", "step_size", "target.tau", "c")


def read(name: str, given: Mapping[str, float | str]) -> Meaning:
    """Return the meaning of settings of the library `name`; missing ones take the library's defaults.

    Raises ConfigError if a setting is unknown, missing or invalid.
    """
    return get_library(name).meaning(complete(name, given))


def complete(name: str, given: Mapping[str, float | str]) -> dict[str, float]:
    """Return all settings of the library `name` as numbers, including defaults."""
    known = get_library(name).settings
    for key in given:
        if key not in known:
            raise ConfigError(f"{name} has no setting {key!r}{near(key, list(known))}: {', '.join(known)}")
    values = {key: _number(key, given[key], setting) for key, setting in known.items() if key in given}
    missing = [key for key, setting in known.items() if key not in values and setting.default is None]
    if missing:
        raise ConfigError(f"{name} needs {missing[0]}, for example {missing[0]}=0.005")
    return {key: values.get(key, setting.default or 0.0) for key, setting in known.items()}


def _number(key: str, value: float | str, setting: Setting) -> float:
    try:
        number = float(str(value).replace("_", ""))
    except ValueError:
        raise ConfigError(f"{key} = {value!r} is not a number") from None
    minimum = -1 if key == "gradient_steps" else 0
    if not math.isfinite(number) or number < minimum:
        raise ConfigError(f"{key} = {value} must be a finite number, at least {minimum}")
    if setting.is_integer and number != int(number):
        raise ConfigError(f"{key} = {value} must be an integer")
    if not setting.is_integer and key in _WEIGHTS and number > 1:
        raise ConfigError(f"{key} = {value} must be in [0, 1]: it is a weight")
    return number
