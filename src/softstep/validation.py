"""Declared types as the one schema: msgspec decodes values into them, and a mismatch names its place and its value.

A field declares its type, its bounds and the words for them together:

    Probability = Annotated[float, msgspec.Meta(ge=0, le=1, title="a probability")]
"""

from __future__ import annotations

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from softstep.errors import ConfigError, near

Path = tuple[str | int, ...]
"""Field names and indices that lead to a value, for example ("arms", 0, "name")."""


class Mismatch(ValueError):
    """A value that does not fit its declared type; the text names the place, the value and what is expected."""

    def __init__(self, path: Path, value: Any, declared: Any, text: str) -> None:
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
        super().__init__(f"{place}{text}".removeprefix(": "))
        self.path, self.value, self.declared = path, value, declared


class UnknownName(Mismatch):
    """A name, in `value`, that is not a field of the declared type at `path`."""


def decode(values: Any, declared: Any) -> Any:
    """Return JSON-like values as the declared type; raise Mismatch for the first that does not fit."""
    try:
        values = _plain(values)
        _refuse_unknown_names(values, declared, ())
        return msgspec.convert(values, declared)
    except RecursionError:
        raise Mismatch((), None, declared, "values are nested too deeply: use fewer brackets") from None
    except msgspec.ValidationError as error:
        raise _located(error, values, declared) from error.__cause__


def check_fields(settings: Any, prefix: str = "") -> None:
    """Raise ConfigError unless every field of a dataclass is of its declared type and within its bounds.

    Unlike JSON, Python callers pass the types themselves: a list is not a tuple, a mapping is not a dataclass.
    """
    values = _plain(vars(settings))
    try:
        decoded = decode(values, _struct(settings.__class__))
        for name, value in values.items():
            if getattr(decoded, name) != value:
                raise _wrong_type((name,), value, _fields(settings.__class__)[name])
    except Mismatch as error:
        raise ConfigError(f"{prefix}{error}") from None


def overlay(base: Any, values: Mapping[str, Any]) -> Any:
    """Return a copy of the dataclass `base` with JSON-like values laid over it, nested mappings field by field."""
    merged = {name: _merged(getattr(base, name, None), value) for name, value in values.items()}
    decoded = decode(merged, _struct(base.__class__))
    return dataclasses.replace(base, **{name: getattr(decoded, name) for name in values})


def unwrap(declared: Any) -> tuple[Any, Meta]:
    """Return the declared type without annotations and without None, and its bounds."""
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if origin in (typing.Union, types.UnionType):
        return unwrap(next(argument for argument in arguments if argument is not types.NoneType))
    if origin is Annotated:
        return arguments[0], next((a for a in arguments if isinstance(a, Meta)), Meta())
    return declared, Meta()


def _merged(base: Any, value: Any) -> Any:
    if not (dataclasses.is_dataclass(base) and isinstance(value, Mapping)):
        return value
    return vars(base) | {name: _merged(getattr(base, name, None), inner) for name, inner in value.items()}


def _plain(value: Any) -> Any:
    """Return the value as msgspec reads it: plain dicts, floats instead of NumPy's, text without lone surrogates."""
    if isinstance(value, Mapping):
        return {_plain(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return (list if isinstance(value, list) else tuple)(map(_plain, value))
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return float(value) if isinstance(value, float) else value


@functools.cache
def _fields(kind: Any) -> dict[str, Any]:
    """Return the declared type of every field of a dataclass or a struct."""
    return typing.get_type_hints(kind, include_extras=True)


@functools.cache
def _struct(kind: Any) -> type[msgspec.Struct]:
    """Return a struct with the fields of a dataclass, all optional and without its `__post_init__`."""
    return msgspec.defstruct(kind.__name__, [(f.name, _fields(kind)[f.name], None) for f in dataclasses.fields(kind)])


def _refuse_unknown_names(values: Any, declared: Any, path: Path) -> None:
    """Raise UnknownName for the first name that is not a field: msgspec ignores these in dataclasses."""
    kind = unwrap(declared)[0] if isinstance(values, (dict, list, tuple)) else None
    has_fields = dataclasses.is_dataclass(kind) or isinstance(kind, msgspec.StructMeta)
    if has_fields and isinstance(values, dict):
        known = _fields(kind)
        for name, inner in values.items():
            if name not in known:
                raise UnknownName(path, name, declared, f": unknown setting {name!r}{near(str(name), list(known))}")
            _refuse_unknown_names(inner, known[name], (*path, name))
    elif typing.get_origin(kind) is tuple and not isinstance(values, dict):
        for index, inner in enumerate(values):
            _refuse_unknown_names(inner, typing.get_args(kind)[0], (*path, index))


def _located(error: msgspec.ValidationError, values: Any, declared: Any) -> Mismatch:
    """Return msgspec's error with the value and its declared type, which it names by a JSON path alone."""
    message, _, place = str(error).rpartition(" - at ")
    path: Path = ()
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", place):  # ends at a dict: msgspec does not tell the key
        kind, _ = unwrap(declared)
        step: str | int = name or int(index)
        path, values, declared = (*path, step), values[step], _fields(kind)[name] if name else typing.get_args(kind)[0]
    if error.__cause__ is not None:
        return Mismatch(path, values, declared, f": {error.__cause__}")
    if missing := re.search(r"missing required field `(\w+)`", str(error)):
        return Mismatch(path, values, declared, f": {missing[1]!r} is missing")
    expected = unwrap(declared)[1].title
    if expected is None or ", got " in message:
        return _wrong_type(path, values, declared)
    return Mismatch(path, values, declared, f" = {values!r} must be {expected}")


def _wrong_type(path: Path, value: Any, declared: Any) -> Mismatch:
    holder = types.SimpleNamespace(__annotations__={"kind": unwrap(declared)[0]})
    kind = typing.get_type_hints(holder)["kind"]  # without annotations further in
    name = kind.__name__ if isinstance(kind, type) else re.sub(r"[a-z_.]+\.(?=[A-Z])", "", str(kind))
    return Mismatch(path, value, declared, f" = {value!r} is not of type {name}")
