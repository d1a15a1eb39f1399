"""Read a study's spec file: TOML text → the fields of `softstep.studies.spec.Spec`, with line numbers in errors."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from softstep import presets
from softstep.config import Config
from softstep.errors import ConfigError, near
from softstep.studies.claims import CONTENDER, Side, StudyClaim
from softstep.studies.contenders import Contender, Draw, Knob, Range, check_range, draw_contender
from softstep.studies.grid import Value, freeze
from softstep.studies.metrics import DEFAULT_METRIC
from softstep.studies.setting_types import setting_value

AXIS_ALIASES = {
    "alpha": "learning_rate", "tau": "target.tau", "period": "target.period", "schedule": "target.schedule",
}  # fmt: skip
"""Short names of axes."""

_TOP_LEVEL_KEYS = (
    "preset", "env", "base", "axes", "candidates", "contenders", "seeds", "claims", "metric", "budget", "margin",
    "floor",
)  # fmt: skip
_RESERVED_FIELDS = ("seed", "seeds", "arms", "changes", "env_modules", "block_width")


def spec_fields(text: str) -> dict[str, Any]:
    """Return the fields of the spec in a TOML text; raise ConfigError or `tomllib.TOMLDecodeError` if it is invalid."""
    tables = tomllib.loads(text)
    for key in tables:
        if key not in _TOP_LEVEL_KEYS:
            raise ConfigError(f"unknown table or key {key!r}{near(key, list(_TOP_LEVEL_KEYS))}")
    base = _base_config(tables)
    has_contenders = "contenders" in tables or "candidates" in tables
    second_count = "judging" if has_contenders else "count"
    seeds = _integer_table(tables, "seeds", ("first", second_count, "selection"))
    budget = _integer_table(tables, "budget", ("agent_steps",))
    selection = seeds.get("selection", 0)
    return {
        "base": dataclasses.replace(base, seed=seeds.get("first", base.seed)),
        "axes": {_axis_name(name): _axis_values(name, values) for name, values in _table(tables, "axes").items()},
        "seeds": selection + seeds.get("judging", 0) if has_contenders else seeds.get("count", 1),
        "selection": selection,
        "claims": tuple(
            _claim(number, table, has_contenders=has_contenders)
            for number, table in enumerate(tables.get("claims", []), 1)
        ),
        "agent_steps": budget.get("agent_steps"),
        "margin": tables.get("margin"),
        "floor": tables.get("floor"),
        **(_contenders(tables) if has_contenders else {}),
        "metric": _metric(tables),
    }


@contextlib.contextmanager
def located_errors(text: str, source: str) -> Iterator[None]:
    """Prefix every ConfigError raised inside with the file's name and, if it can be found, the line."""
    try:
        yield
    except tomllib.TOMLDecodeError as error:  # names its line itself
        raise ConfigError(f"{source}: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{source}{_location(text, str(error))}: {error}") from None


def _location(text: str, message: str) -> str:
    """Return ", line N" for the first line with a word that the message quotes ('word') or names (word = …).

    If the message begins with the name of a table, or of a contender, its lines come first.
    """
    words = [w for pair in re.findall(r"'([\w.]+)'|\b([a-z_]{3,}(?:\.[a-z_]+)?) = ", message) for w in pair if w]
    for word in (w for dotted in words for w in (dotted, dotted.rpartition(".")[2])):
        for number, line in _lines(text, message):
            if re.search(rf"\b{re.escape(word)}\b", line.partition("#")[0]):
                return f", line {number}"
    return ""


def _lines(text: str, message: str) -> list[tuple[int, str]]:
    """Return the numbered lines of a text: those of the table that the message begins with, then all."""
    numbered = list(enumerate(text.splitlines(), 1))
    owner = re.match(r"(?:contender '([^']+)'|([a-z]+))", message)
    header = re.compile(rf'\s*\[(?:contenders\.)?"?{re.escape(owner[1] or owner[2])}"?\]') if owner else None
    starts = [i for i, (_, line) in enumerate(numbered) if header and header.match(line)]
    if not starts:
        return numbered
    inside = itertools.takewhile(lambda item: not item[1].startswith("["), numbered[starts[0] + 1 :])
    return [*inside, *numbered]


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a table of the file, empty if it is missing; raise ConfigError if the name holds something else."""
    table = tables.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{name} = {table!r} must be a table: write [{name}]")
    return table


def _base_config(tables: Mapping[str, Any]) -> Config:
    base = presets.get(tables["preset"]) if "preset" in tables else Config()
    fields = {name: setting_value(name, value) for name, value in _table(tables, "base").items()}
    fields |= {"env": tables["env"]} if "env" in tables else {}
    if fields.get("env", base.env) != base.env:  # the preset's arguments are for its own environment
        base = dataclasses.replace(base, env_args={})
    return Config.from_mapping({"seeds": 1, "arms": []} | fields, base, source="base")


def _integer_table(tables: Mapping[str, Any], name: str, keys: Sequence[str]) -> Mapping[str, int]:
    """Return a table whose values are integers."""
    table = _table(tables, name)
    for key, value in table.items():
        if key not in keys:
            raise ConfigError(f"{name} has an unknown key {key!r}{near(key, list(keys))}")
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value != int(value):
            raise ConfigError(f"{name}.{key} = {value!r} must be an integer")
    return {key: int(value) for key, value in table.items()}


def _axis_name(name: str, kind: str = "axis") -> str:
    """Return the full name of an axis or a knob; raise ConfigError if it cannot be one."""
    full_name = AXIS_ALIASES.get(name, name)
    fields = [field.name for field in dataclasses.fields(Config)]
    if full_name != "c" and full_name.partition(".")[0] not in fields:
        known = [*AXIS_ALIASES, "c", *fields]
        raise ConfigError(f"{kind} {name!r} is not a field of the configuration{near(name, known)}")
    if full_name in _RESERVED_FIELDS:
        raise ConfigError(f"{name!r} cannot be an axis or a knob, because a study sets it itself: remove it")
    return full_name


def _axis_values(name: str, value: Any) -> tuple[Value, ...]:
    """Return the values of an axis: a list, a single value, or low, high and count of a log range."""
    if not isinstance(value, dict):
        return _listed(name, value)
    if set(value) != {"low", "high", "count"}:
        raise ConfigError(f"axis {name!r} needs low, high and count of a log range, or a list of values")
    low, high, count = value["low"], value["high"], value["count"]
    numbers = isinstance(low, (int, float)) and isinstance(high, (int, float)) and isinstance(count, int)
    if not (numbers and 0 < low < high and count >= 2):
        raise ConfigError(f"axis {name!r}: a log range needs 0 < low < high and a count of at least 2")
    return tuple(float(f"{point:.4g}") for point in np.geomspace(low, high, count))


def _listed(name: str, value: Any) -> tuple[Value, ...]:
    """Return the values of a list, or a single value."""
    setting = AXIS_ALIASES.get(name, name)
    return tuple(freeze(setting_value(setting, v)) for v in (value if isinstance(value, list) else [value]))


def _contenders(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return how candidates are drawn, and the contenders with their candidates."""
    table = _integer_table(tables, "candidates", ("count", "seed"))
    if table.get("count", 0) < 1 or table.get("seed", 0) < 0:
        raise ConfigError("candidates.count must be at least 1, and candidates.seed at least 0")
    draw = Draw(**table)
    contenders = _table(tables, "contenders")
    return {"draw": draw, "contenders": {name: _contender(name, contenders, draw) for name in contenders}}


def _contender(name: str, tables: Mapping[str, Any], draw: Draw) -> Contender:
    if not isinstance(tables[name], dict):
        raise ConfigError(f"contenders.{name} = {tables[name]!r} must be a table: write [contenders.{name}]")
    try:
        knobs = {_axis_name(knob, "knob"): _knob(knob, value) for knob, value in tables[name].items()}
    except ConfigError as error:
        raise ConfigError(f"contender {name!r}: {error}") from None
    return draw_contender(name, knobs, draw)


def _knob(name: str, value: Any) -> Knob:
    """Return a knob: low and high of a range, or the values of a list, or a single value."""
    if isinstance(value, dict):
        if set(value) != {"low", "high"} or not all(isinstance(end, (int, float)) for end in value.values()):
            raise ConfigError(f"knob {name!r} needs two numbers, low and high, of a range, or a list, or a value")
        knob = Range(**value)
        check_range(AXIS_ALIASES.get(name, name), knob)
        return knob
    values = _listed(name, value)
    if not values:
        raise ConfigError(f"knob {name!r} has no values: list at least one")
    return values


def _metric(tables: Mapping[str, Any]) -> Any:
    table = _table(tables, "metric")
    if set(table) - {"primary"}:
        raise ConfigError(f"metric has an unknown key {min(set(table) - {'primary'})!r}: it has primary alone")
    return table.get("primary", DEFAULT_METRIC)


def _claim(number: int, table: Mapping[str, Any], *, has_contenders: bool) -> StudyClaim:
    if set(table) != {"name", "first", "second"}:
        raise ConfigError(f"claim {number} needs name, first and second, and nothing else")
    first, second = (
        _contender_side(number, side, table) if has_contenders else _grid_side(number, side, table)
        for side in ("first", "second")
    )
    return StudyClaim(table["name"], first, second)


def _grid_side(number: int, side: str, table: Mapping[str, Any]) -> Side:
    if not isinstance(table[side], dict):
        raise ConfigError(
            f"claim {number}: {side} = {table[side]!r} must be a table of axes, for example {{ c = 0.9 }}"
        )
    return {_axis_name(axis): _listed(axis, values) for axis, values in table[side].items()}


def _contender_side(number: int, side: str, table: Mapping[str, Any]) -> Side:
    names = table[side] if isinstance(table[side], list) else [table[side]]
    if not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(
            f'claim {number}: {side} = {table[side]!r} must be the name of a contender, for example "soft", or a list'
            " of names"
        )
    return {CONTENDER: tuple(names)}
