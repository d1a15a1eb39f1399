"""A cache of what the blocks of one configuration share, compiled programs above all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class ProgramCache:
    """Results by the function that made them; the first block computes them, later blocks reuse them."""

    def __init__(self) -> None:
        self._results = dict[Callable[..., Any], Any]()

    def get(self, make: Callable[..., T], *arguments: Any) -> T:
        """Return `make(*arguments)`, computed once; the arguments must mean the same for every block."""
        if make not in self._results:
            self._results[make] = make(*arguments)
        result: T = self._results[make]
        return result
