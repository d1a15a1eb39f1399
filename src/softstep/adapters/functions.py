"""What a function refers to, for adapters that must know whether a copy still uses the original network."""

from __future__ import annotations

import dis
import types
from typing import Any


def global_variables(function: types.FunctionType, kinds: tuple[type, ...]) -> dict[str, Any]:
    """Return the global variables of certain types that a function reads, by name.

    `inspect.getclosurevars` would also return globals that only have the name of an attribute the function uses.
    """
    scope = function.__globals__
    candidates = {name for name in function.__code__.co_names if isinstance(scope.get(name), kinds)}
    if not candidates:  # reading the instructions takes about a millisecond
        return {}
    read = {i.argval for i in dis.get_instructions(function) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return {name: scope[name] for name in sorted(candidates & read)}
