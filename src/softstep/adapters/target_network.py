"""What every target has in common, whatever its framework: a copy, its clock, and the form of its saved state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from softstep.target import TargetUpdate


class Following(ABC):
    """A copy (`module`) of a network that follows it as `update` says, counted in gradient steps."""

    def __init__(self, module: Any, update: TargetUpdate) -> None:
        self.module, self.update, self.gradient_steps = module, update, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The copy's answer."""
        return self.module(*args, **kwargs)

    def step(self) -> None:
        """Count a gradient step; at every `update.period`-th of them move the target."""
        self.gradient_steps += 1
        if self.gradient_steps % self.update.period == 0:
            self._move()

    @abstractmethod
    def _move(self) -> None:
        """One update of the target."""


def check_parts(state: Mapping[str, Any], *parts: str) -> None:
    """ValueError where a saved state does not have these parts."""
    if set(state) != set(parts):
        raise ValueError(
            f"a Target's state has {', '.join(parts)}; this one has {', '.join(sorted(state)) or 'nothing'}"
        )
