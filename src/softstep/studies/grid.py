"""The grid of a study: its axes, and its cells as arms and shapes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from softstep.config import Arm, Config
from softstep.errors import ConfigError, near
from softstep.target import TargetUpdate

ALIASES = {"alpha": "learning_rate", "tau": "target.tau", "period": "target.period", "c": "c"}
"""Short names of axes; c = 1 − τ is one of its own."""


_EPSILON = ("start", "end", "steps", "decay")


DATA = ("learning_rate", "c", "target.tau", "target.period", "gamma", *(f"exploration.{name}" for name in _EPSILON))
"""Axes whose cells share a block: what they change is data. The others become blocks of their own."""


Value = Any


Cell = Mapping[str, Value]
"""A value for every axis."""


def cell_name(cell: Cell) -> str:
    """A cell in words, as its arm is called: learning_rate=0.001 c=0.99."""
    return " ".join(f"{axis}={_word(value)}" for axis, value in cell.items()) or "base"


def arm_of(cell: Cell, base: Config) -> Arm:
    """The cell's data as an arm of its block."""
    tau = 1 - cell["c"] if "c" in cell else cell.get("target.tau", base.target.tau)
    target = TargetUpdate(tau, cell.get("target.period", base.target.period))
    asked = {name: cell[f"exploration.{name}"] for name in _EPSILON if f"exploration.{name}" in cell}
    exploration = dataclasses.replace(base.exploration, **asked) if asked else None
    return Arm(cell_name(cell), cell.get("learning_rate"), target, cell.get("gamma"), exploration)


def shaped(base: Config, cell: Cell) -> Config:
    """The base with the cell's values on the axes that are no data."""
    nested: dict[str, Any] = {}
    for axis, value in cell.items():
        if axis not in DATA:
            head, _, tail = axis.partition(".")
            nested = nested | {head: nested.get(head, {}) | {tail: value} if tail else value}
    return Config.from_mapping(nested, base, source="axes")


def same(a: Value, b: Value) -> bool:
    """Whether two values of an axis are one: numbers up to rounding."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return bool(_frozen(a) == _frozen(b))


def _word(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _frozen(value: Value) -> Value:
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def _check_axis(base: Config, name: str, values: Sequence[Value]) -> None:
    """ConfigError where an axis or one of its values cannot be meant."""
    if not values:
        raise ConfigError(f"axis {name!r} has no values")
    for i, value in enumerate(values):
        if any(same(value, other) for other in values[:i]):
            raise ConfigError(f"axis {name!r} has {value} twice")
        if name == "c" and not (isinstance(value, (int, float)) and 0 <= value < 1):
            raise ConfigError(f"axis 'c' has {value!r}: the weight of the old target must be in [0, 1)")
        try:
            arm_of({name: value}, shaped(base, {name: value}))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"axis {name!r}: {str(error).removeprefix('axes: ')}") from None


def _axis(name: str, base: Config) -> str:
    """The full name of an axis."""
    full = ALIASES.get(name, name)
    fields = [field.name for field in dataclasses.fields(Config)]
    if full != "c" and full.partition(".")[0] not in fields:
        raise ConfigError(f"axis {name!r} is no field of the configuration{near(name, [*ALIASES, *fields])}")
    if full in ("seed", "seeds", "arms", "changes", "env_modules", "block_width"):
        raise ConfigError(f"{name!r} cannot be an axis: a study sets it itself")
    return full


def _values(name: str, given: Any) -> tuple[Value, ...]:
    """A list as it stands, or low, high and count of a log range."""
    if isinstance(given, list):
        return tuple(map(_frozen, given))
    if not isinstance(given, dict):
        return (_frozen(given),)
    if set(given) != {"low", "high", "count"}:
        raise ConfigError(f"axis {name!r} needs low, high and count of a log range, or a list of values")
    low, high, count = given["low"], given["high"], given["count"]
    if not (0 < low < high and isinstance(count, int) and count >= 2):
        raise ConfigError(f"axis {name!r}: a log range needs 0 < low < high and a count of at least 2")
    return tuple(float(f"{value:.4g}") for value in np.geomspace(low, high, count))
