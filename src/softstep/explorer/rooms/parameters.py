"""Parameters of the endpoints: structs that declare type, bounds, default and description of each one together.

The same declaration decodes a request and describes it in OpenAPI; an invalid value is refused in one line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from softstep.validation import Mismatch, UnknownName, decode, unwrap

JSON = dict[str, Any]

StepSize = Annotated[float, Meta(ge=1e-4, le=10.0, description="α, the size of a gradient step")]
OldWeight = Annotated[float, Meta(ge=0.0, le=0.9999, description="c, the share of the old target that is kept")]
TargetWeight = Annotated[float, Meta(ge=-5.0, le=5.0, description="a, the weight of T in the target (roughly γ)")]
Curvature = Annotated[float, Meta(ge=0.01, le=5.0, description="b, the curvature of QN's regression")]


class BadParameter(ValueError):
    """An invalid value: the name of the parameter, and one line with the value and the fix."""

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"{parameter}: {reason}")
        self.parameter, self.reason = parameter, reason


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of an endpoint; each has a default."""


P = TypeVar("P", bound=Parameters)


def entries(noun: str, most: int, description: str | None = None) -> Meta:
    """Return the bounds of a list with 1 to `most` entries, which errors call `noun`."""
    return Meta(min_length=1, max_length=most, title=noun, description=description)


def read(kind: type[P], values: Any) -> P:
    """Decode a request, with defaults for parameters that are not given.

    Raises:
        BadParameter: The request is not an object, has an unknown name, or has an invalid value; names the first.
    """
    if not isinstance(values, Mapping):
        raise BadParameter("body", f"{_short(values)} is not a JSON object: send names and values")
    whole = {name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in values.items()}  # 3.0 is 3
    try:
        return decode(whole, kind)
    except UnknownName as error:
        known = ", ".join(unwrap(error.declared)[0].__struct_fields__) or "none"
        raise BadParameter(str(error.value)[:40], f"is not a parameter here: known are {known}") from None
    except Mismatch as error:
        if isinstance(error.__cause__, BadParameter):
            raise error.__cause__ from None
        parameter = next((step for step in reversed(error.path) if isinstance(step, str)), "body")
        raise BadParameter(parameter, _reason(error.value, error.declared) if error.path else str(error)) from None


def _reason(value: Any, declared: Any) -> str:
    """Return one line that says why a value does not fit its declaration, and what does."""
    kind, bounds = unwrap(declared)
    if get_origin(kind) is Literal:
        return f"{_short(value)} is not offered: choose one of {', '.join(get_args(kind))}"
    if kind is str and isinstance(value, str):
        return f"{len(value)} characters are too many: use at most {bounds.max_length}"
    if kind is str:
        return f"{_short(value)} is not text: write at most {bounds.max_length} characters"
    if get_origin(kind) is tuple and isinstance(value, (list, tuple)):
        return f"{len(value)} {bounds.title} do not fit: give {bounds.min_length} to {bounds.max_length}"
    if get_origin(kind) is tuple:
        return f"{_short(value)} is not a list: give {bounds.min_length} to {bounds.max_length} {bounds.title}"
    if kind not in (int, float):
        return f"{_short(value)} is not a JSON object: send names and values"
    span = f"{bounds.ge:g} to {bounds.le:g}" if kind is float else f"{bounds.ge} to {bounds.le}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"{_short(value)} is not a number: give one from {span}"
    if kind is int and isinstance(value, float) and not value.is_integer() and math.isfinite(value):
        return f"{_short(value)} is not an integer: give one from {span}"
    return f"{_short(value)} is out of range: give a number from {span}"


def _short(value: Any, longest: int = 24) -> str:
    """Return a value for a one-line reason, cut and without line breaks."""
    if isinstance(value, int) and abs(value) >= 10**longest:
        return "a number of many digits"
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else repr(value)
    return text if len(text) <= longest else f"{text[:longest]}…"
