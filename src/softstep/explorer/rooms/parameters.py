"""What an endpoint accepts: every parameter says its range, checks a value, and describes itself as a JSON schema."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

JSON = dict[str, Any]


class BadParameter(ValueError):
    """A value that cannot be used: which parameter, and one line with the value and what to do."""

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"{parameter}: {reason}")
        self.parameter, self.reason = parameter, reason


@runtime_checkable
class Spec(Protocol):
    """One parameter. `check` returns a hashable value, or raises `BadParameter`."""

    @property
    def default(self) -> Any: ...
    @property
    def summary(self) -> str: ...
    def check(self, name: str, value: Any) -> Any: ...
    def schema(self) -> JSON: ...


@dataclass(frozen=True)
class Number:
    """A real number in [low, high]."""

    summary: str
    default: float
    low: float
    high: float

    def check(self, name: str, value: Any) -> float:
        return _number(name, value, self.low, self.high)

    def schema(self) -> JSON:
        return {"type": "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Whole:
    """A whole number in [low, high]."""

    summary: str
    default: int
    low: int
    high: int

    def check(self, name: str, value: Any) -> int:
        number = _number(name, value, self.low, self.high)
        if number != int(number):
            raise BadParameter(name, f"{_short(value)} is no whole number: give one from {self.low} to {self.high}")
        return int(number)

    def schema(self) -> JSON:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    summary: str
    default: str
    options: tuple[str, ...]

    def check(self, name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in self.options:
            raise BadParameter(name, f"{_short(value)} is not offered: choose one of {', '.join(self.options)}")
        return value

    def schema(self) -> JSON:
        return {"type": "string", "enum": list(self.options)}


@dataclass(frozen=True)
class Text:
    """A short text; what it must say is for its reader to check."""

    summary: str
    default: str
    longest: int

    def check(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise BadParameter(name, f"{_short(value)} is no text: write one of at most {self.longest} characters")
        if len(value) > self.longest:
            raise BadParameter(name, f"{len(value)} characters are too many: use at most {self.longest}")
        return value

    def schema(self) -> JSON:
        return {"type": "string", "maxLength": self.longest}


@dataclass(frozen=True)
class Row:
    """A list of 1 to `longest` numbers, each in [low, high]."""

    summary: str
    default: tuple[float, ...]
    longest: int
    low: float
    high: float

    def check(self, name: str, value: Any) -> tuple[float, ...]:
        if not isinstance(value, (list, tuple)):
            raise BadParameter(name, f"{_short(value)} is no list: give 1 to {self.longest} numbers")
        if not 1 <= len(value) <= self.longest:
            raise BadParameter(name, f"{len(value)} numbers do not fit: give 1 to {self.longest}")
        return tuple(_number(name, cell, self.low, self.high) for cell in value)

    def schema(self) -> JSON:
        cell = {"type": "number", "minimum": self.low, "maximum": self.high}
        return {"type": "array", "minItems": 1, "maxItems": self.longest, "items": cell}


@dataclass(frozen=True)
class Grid:
    """A rectangle of numbers: 1 to `tallest` rows of 1 to `widest` numbers in [low, high], all rows alike."""

    summary: str
    default: tuple[tuple[float, ...], ...]
    tallest: int
    widest: int
    low: float
    high: float

    def check(self, name: str, value: Any) -> tuple[tuple[float, ...], ...]:
        if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= self.tallest:
            count = f"{len(value)} rows" if isinstance(value, (list, tuple)) else _short(value)
            raise BadParameter(name, f"{count} cannot be used: give 1 to {self.tallest} rows of numbers")
        rows = tuple(self._row.check(name, row) for row in value)
        if len({len(row) for row in rows}) > 1:
            raise BadParameter(
                name, f"rows have {min(map(len, rows))} to {max(map(len, rows))} numbers: make them equal"
            )
        return rows

    @property
    def _row(self) -> Row:
        return Row(self.summary, (0.0,), self.widest, self.low, self.high)

    def schema(self) -> JSON:
        return {"type": "array", "minItems": 1, "maxItems": self.tallest, "items": self._row.schema()}


def check_all(specs: Mapping[str, Spec], values: Any) -> dict[str, Any]:
    """Every parameter checked, defaults for those not given. BadParameter names the first that does not fit."""
    if not isinstance(values, Mapping):
        raise BadParameter("body", f"{_short(values)} is no JSON object: send names and values")
    for name in values:
        if name not in specs:
            raise BadParameter(str(name)[:40], f"is not a parameter here: known are {', '.join(specs) or 'none'}")
    return {name: spec.check(name, values.get(name, spec.default)) for name, spec in specs.items()}


def schema_of(specs: Mapping[str, Spec]) -> JSON:
    """The JSON schema of a whole request."""
    properties = {
        name: {**spec.schema(), "default": _listed(spec.default), "description": spec.summary}
        for name, spec in specs.items()
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _listed(value: Any) -> Any:
    return [_listed(part) for part in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def _number(name: str, value: Any, low: float, high: float) -> float:
    """A finite number in [low, high]; JSON's true and false are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadParameter(name, f"{_short(value)} is no number: give one from {low:g} to {high:g}")
    if not low <= value <= high or math.isnan(value):
        raise BadParameter(name, f"{_short(value)} is out of range: give a number from {low:g} to {high:g}")
    return float(value)


def _short(value: Any, longest: int = 24) -> str:
    """A value for a one-line reason: cut, and without line breaks."""
    if isinstance(value, int) and abs(value) >= 10**longest:
        return "a number of many digits"
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else repr(value)
    return text if len(text) <= longest else f"{text[:longest]}…"
