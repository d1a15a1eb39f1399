"""What a function refers to, for adapters that must know whether a copy still uses the original network."""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Callable
from typing import Any

FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)


def may_hold_functions(value: Any) -> bool:
    """Return whether an attribute is a function or a container of functions."""
    if isinstance(value, (list, tuple, dict)):
        parts = value.values() if isinstance(value, dict) else value
        return any(isinstance(part, FUNCTIONS) for part in parts)
    return isinstance(value, FUNCTIONS)


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


def reaches(
    function: Any, kinds: tuple[type, ...], is_foreign: Callable[[Any], bool], visited: set[int] | None = None
) -> bool:
    """Return whether a function refers to a foreign object through closures, arguments, methods or globals.

    Args:
        function: the function, or a container of functions.
        kinds: types of the objects that may be foreign; what they refer to themselves is not followed.
        is_foreign: whether an object of these types is foreign.
        visited: ids of what earlier calls have followed without finding anything foreign; extended.
    """
    visited = set() if visited is None else visited
    pending = [function]
    while pending:
        value = pending.pop()
        if isinstance(value, kinds):
            if is_foreign(value):
                return True
        elif id(value) not in visited:
            visited.add(id(value))
            pending += _referents(value, kinds)
    return False


def _referents(value: Any, kinds: tuple[type, ...]) -> list[Any]:
    """Return what a function, or a container in its closure, refers to."""
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell != types.CellType()]
        variables = global_variables(value, kinds).values()
        return [*cells, *variables, value.__defaults__, value.__kwdefaults__, value.__dict__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else []
