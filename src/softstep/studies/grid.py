"""The grid of a study: its axes, and its cells, one for every combination of the axes' values.

A cell's values are of two kinds: data, which become an arm, and shapes, which become a configuration of their own.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from softstep.config import Config
from softstep.errors import ConfigError
from softstep.settings import Arm
from softstep.studies.setting_types import NONE
from softstep.target import TargetUpdate, weight_beside_tau0

_EXPLORATION_FIELDS = ("start", "end", "steps", "decay")
_ARM_FIELDS = ("learning_rate", "gamma", "actor_learning_rate", "actor_tau", "temperature_learning_rate")

DATA_AXES = (
    *_ARM_FIELDS, "c", *(f"target.{field.name}" for field in dataclasses.fields(TargetUpdate)),
    *(f"exploration.{name}" for name in _EXPLORATION_FIELDS),
)  # fmt: skip
"""Axes of data, whose cells share a block; c = 1 − τ. Cells that differ on any other axis get blocks of their own."""

_SCHEDULES = {"c": "constant", "target.tau": "constant"} | dict.fromkeys(
    ("target.tau0", "target.factor", "target.gamma"), "harmonic"
)
"""The schedule of the targets that have a setting, by the name of its axis."""

Value = Any
"""A number, a word or a tuple of them."""

Cell = Mapping[str, Value]
"""A value for every axis."""


def expand_grid(axes: Mapping[str, Sequence[Value]]) -> list[Cell]:
    """Return every combination of the axes' values, the first axis slowest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def cell_name(cell: Cell) -> str:
    """Return the name of a cell and of its arm, for example "learning_rate=0.001 c=0.99"."""
    return " ".join(f"{axis}={value_text(value)}" for axis, value in cell.items()) or "base"


def cell_arm(cell: Cell, base: Config, name: str) -> Arm:
    """Return the cell's data as an arm of its block, called `name`."""
    changes = {field: cell[f"exploration.{field}"] for field in _EXPLORATION_FIELDS if f"exploration.{field}" in cell}
    exploration = dataclasses.replace(base.exploration, **changes) if changes else None
    fields = {field: cell[field] for field in _ARM_FIELDS if field in cell}
    return Arm(name, target=_cell_target(cell, base.target), exploration=exploration, **fields)


def _cell_target(cell: Cell, base: TargetUpdate) -> TargetUpdate:
    """Return the cell's target: its own settings, else the base's; a schedule that changes drops those of the other."""
    named = {name.removeprefix("target."): value for name, value in cell.items() if name.startswith("target.")}
    named = {"period": base.period, "schedule": base.schedule} | named
    for name in ("c", "target.tau"):
        if name in cell and named["schedule"] == "harmonic":
            raise ConfigError(weight_beside_tau0(name, cell[name]))
    if "c" in cell:
        named["tau"] = 1 - cell["c"]
    if named["schedule"] == base.schedule:
        inherited = {"tau": base.tau} if base.schedule == "constant" else _harmonic_settings(base)
        return TargetUpdate(**inherited | named)
    return TargetUpdate(**named)


def _harmonic_settings(target: TargetUpdate) -> dict[str, Any]:
    return {name: getattr(target, name) for name in ("tau0", "factor", "gamma")}


def cell_config(cell: Cell, base: Config) -> Config:
    """Return the base with the cell's shapes: its values on all axes that are not data."""
    nested: dict[str, Any] = {}
    for axis, value in cell.items():
        if axis not in DATA_AXES:
            head, _, tail = axis.partition(".")
            inherited = getattr(base, head) if isinstance(getattr(base, head), Mapping) else {}
            nested[head] = nested.get(head, inherited) | {tail: value} if tail else value
    return Config.from_mapping(nested, base, source="axes") if nested else base


def same_value(a: Value, b: Value) -> bool:
    """Return whether two values of an axis are equal, numbers up to rounding."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return bool(freeze(a) == freeze(b))


def same_cell(a: Cell, b: Cell) -> bool:
    """Return whether two cells have the same values on the same axes."""
    return a.keys() == b.keys() and all(same_value(a[axis], b[axis]) for axis in a)


def freeze(value: Value) -> Value:
    """Return the value with every list in it as a tuple."""
    return tuple(map(freeze, value)) if isinstance(value, (list, tuple)) else value


def check_axis(name: str, axes: Mapping[str, Sequence[Value]], base: Config) -> None:
    """Raise ConfigError if an axis has no values, repeats one, or has one that the configuration rejects.

    A setting that only targets of one schedule have is checked with that schedule, if the study has it as an axis.
    """
    values, schedule = axes[name], _SCHEDULES.get(name)
    beside = {"target.schedule": schedule} if schedule in axes.get("target.schedule", ()) else {}
    if not values:
        raise ConfigError(f"axis {name!r} has no values: list at least one")
    for i, value in enumerate(values):
        if any(same_value(value, other) for other in values[:i]):
            raise ConfigError(f"axis {name!r} has {value} twice: list every value once")
        if name == "c" and not (isinstance(value, (int, float)) and 0 <= value < 1):
            raise ConfigError(f"axis 'c' has {value!r}: the weight of the old target must be in [0, 1)")
        try:
            cell_arm({name: value} | beside, cell_config({name: value}, base), "cell")
        except (TypeError, ValueError) as error:
            raise ConfigError(f"axis {name!r}: {str(error).removeprefix('axes: ')}") from None


def check_cell(name: str, cell: Cell, base: Config) -> None:
    """Raise TypeError, ValueError or ConfigError if a cell's settings, called `name`, make no agent."""
    config = cell_config(cell, base)
    dataclasses.replace(config, arms=(cell_arm(cell, config, name),))


def without_source(error: Exception) -> str:
    """Return the message of a cell's error without the name of the table that it was read from."""
    return str(error).removeprefix("axes: ").removeprefix("arm.")


def value_text(value: Value) -> str:
    """Return a value as names of cells and tables show it."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None:
        return NONE
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)
