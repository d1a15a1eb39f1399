"""What a function refers to, for adapters that must know whether a copy still uses the original network."""

from __future__ import annotations

import dis
import types
from typing import Any


def global_variables(function: types.FunctionType) -> dict[str, Any]:
    """Return the global variables that a function reads, by name.

    `inspect.getclosurevars` would also return globals that only have the name of an attribute the function uses.
    """
    names = {i.argval for i in dis.get_instructions(function) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}
