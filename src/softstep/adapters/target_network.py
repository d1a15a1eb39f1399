"""The base class of every framework's `Target`: a copy of a network, its clock, and the form of its saved state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from softstep.target import TargetUpdate


class TargetNetwork(ABC):
    """A copy (`module`) of a network that follows it by the rule `update`, counted in gradient steps."""

    def __init__(self, module: Any, update: TargetUpdate) -> None:
        _ = update.harmonic_steps  # raises ValueError if γ is missing
        self.module, self.update, self.gradient_steps = module, update, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the copy."""
        return self.module(*args, **kwargs)

    def step(self) -> None:
        """Count a gradient step, and update the target at every `update.period`-th of them."""
        self.gradient_steps += 1
        if self.gradient_steps % self.update.period == 0:
            self._update_module()

    @abstractmethod
    def _update_module(self) -> None:
        """Update the target once."""


def check_state_keys(state: Mapping[str, Any], *keys: str) -> None:
    """Raise ValueError unless a saved state has exactly these keys."""
    if set(state) != set(keys):
        raise ValueError(
            f"the state of a Target has the keys {', '.join(keys)}, this one has {', '.join(sorted(state)) or 'none'}:"
            " pass what state_dict() returned"
        )
