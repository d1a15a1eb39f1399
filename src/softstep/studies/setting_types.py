"""What a setting of the configuration may be: a whole number, None."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from softstep.config import Config
from softstep.validation import unwrap

NONE = "none"
"""How a spec, whose TOML has no null, writes None."""


def is_integer(name: str) -> bool:
    """Return whether a setting is a whole number; `name` may have a dot, as in "target.period"."""
    return unwrap(_declared(name))[0] is int


def setting_value(name: str, value: Any) -> Any:
    """Return a value of a spec as the configuration has it: None for "none" where None is a value of the setting."""
    return None if value == NONE and _admits_none(_declared(name)) else value


def _admits_none(declared: Any) -> bool:
    return types.NoneType in typing.get_args(declared)


def _declared(name: str) -> Any:
    """Return the declared type of a setting; Any for one without, such as an option of the optimizer."""
    declared: Any = Config
    for part in name.split("."):
        kind = unwrap(declared)[0]
        hints = typing.get_type_hints(kind, include_extras=True) if dataclasses.is_dataclass(kind) else {}
        declared = hints.get(part, Any)
    return declared
