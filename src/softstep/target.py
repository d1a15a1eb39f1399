"""The target update: the formula written once, and what a pair (τ, period) means.

    T ← c·T + (1 − c)·Q,    τ = 1 − c,    fired at every `period`-th gradient step.

Everything here is counted in gradient steps of the learner. Standard library only, so that every adapter
(PyTorch, Keras, JAX, NumPy) can share it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


def blend(target: Any, online: Any, tau: Any, *, where: Callable[[Any, Any, Any], Any]) -> Any:
    """Move `target` a share `tau` of the way to `online`.

    Returns: where(τ = 1, online, target + τ·(online − target)), equal to c·target + (1−c)·online with c = 1 − τ.

    The `where` makes hard copies and "no target network" exact: the lerp alone misses `online` in the last bit
    for about a third of all float32 pairs at τ = 1. Shapes: `target` and `online` alike, `tau` broadcastable.
    `where` is the backend's own (`numpy.where`, `jax.numpy.where`, `torch.where`).
    Source: Lillicrap et al. 2015, "Continuous control with deep reinforcement learning", algorithm 1.
    """
    return where(tau == 1, online, target + tau * (online - target))


@dataclass(frozen=True)
class TargetUpdate:
    """How the target network follows the online network, on the clock of gradient steps."""

    tau: float = 0.005
    """Weight of the new (online) parameters, in (0, 1]; c = 1 − τ is the weight of the old ones."""
    period: int = 1
    """Gradient steps from one update of the target to the next; 1 updates it after every gradient step."""

    def __post_init__(self) -> None:
        if isinstance(self.tau, bool) or not isinstance(self.tau, (int, float)) or not 0 < self.tau <= 1:
            raise ValueError(
                f"tau = {self.tau!r} is outside (0, 1]: it is the weight of the new parameters"
                " (tau = 1 copies; c = 1 - tau is the weight of the old)"
            )
        if isinstance(self.period, bool) or not isinstance(self.period, int) or not 1 <= self.period < 2**31:
            raise ValueError(
                f"period = {self.period!r} must be a whole number of gradient steps, at least 1 and below 2**31"
            )

    @classmethod
    def from_c(cls, c: float, period: int = 1) -> TargetUpdate:
        """The update with weight `c` in [0, 1) on the old target: τ = 1 − c."""
        if not 0 <= c < 1:
            raise ValueError(f"c = {c!r} is outside [0, 1): it is the weight of the old target (tau = 1 - c)")
        return cls(1 - c, period)

    @classmethod
    def hard(cls, period: int) -> TargetUpdate:
        """A full copy (τ = 1) at every `period`-th gradient step. Source: Mnih et al. 2015."""
        return cls(1.0, period)

    @classmethod
    def none(cls) -> TargetUpdate:
        """No target network: a full copy after every gradient step."""
        return cls(1.0, 1)

    @property
    def c(self) -> float:
        """Weight of the old target, c = 1 − τ."""
        return 1 - self.tau

    @property
    def kind(self) -> Literal["soft", "hard", "none"]:
        """`none` where the target always equals the online network, `hard` for full copies, else `soft`."""
        if self.tau < 1:
            return "soft"
        return "none" if self.period == 1 else "hard"

    @property
    def half_life(self) -> float:
        """Gradient steps until half of a change of Q has reached T: period·ln ½ / ln c; 0 where τ = 1."""
        return 0.0 if self.tau == 1 else self.period * math.log(0.5) / math.log1p(-self.tau)
