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

    @classmethod
    def from_half_life(cls, half_life: float, period: int = 1) -> Self:
        """The update by which half of a change of Q has reached T after `half_life` gradient steps.

        Returns: c = 2^(−period/half_life), so that `.half_life` is `half_life`; 0 gives a full copy.
        Errors: ValueError where `half_life` is negative or not finite.
        """
        _finite("half_life", half_life, 0.0)
        return cls(1.0 if half_life == 0 else -math.expm1(-period * math.log(2) / half_life), period)

    @classmethod
    def from_lag(cls, lag: float, period: int = 1) -> Self:
        """The update whose target is `lag` gradient steps behind on average.

        Returns: τ = period/(lag + (period + 1)/2), the inverse of `.mean_lag`.
        Errors: ValueError where `lag` is below (period − 1)/2, the age that the waiting alone gives.
        """
        _finite("lag", lag, (period - 1) / 2)
        return cls(period / (lag + (period + 1) / 2), period)

    @property
    def half_life(self) -> float:
        """Gradient steps until half of a change of Q has reached T: period·ln ½ / ln c; 0 where τ = 1."""
        return 0.0 if self.tau == 1 else self.period * math.log(0.5) / math.log1p(-self.tau)

    @property
    def mean_lag(self) -> float:
        """Mean age of what T holds, in gradient steps, averaged over the phase: period·c/(1−c) + (period−1)/2.

        It is also how far T trails a Q that moves at constant speed. A hard copy has (period − 1)/2.
        """
        return self.period * (1 - self.tau) / self.tau + (self.period - 1) / 2

    @property
    def time_constant(self) -> float:
        """Gradient steps until a gap has shrunk by the factor e: −period/ln c; 0 where τ = 1."""
        return 0.0 if self.tau == 1 else -self.period / math.log1p(-self.tau)

    @property
    def cutoff(self) -> float | None:
        """Angular frequency at which the filter Q→T passes half the power (radians per gradient step).

        Returns: 2·asin((1−c)/(2√c))/period; None for c < 3 − 2√2, where every frequency keeps more than half.
        """
        if self.tau == 1:
            return None
        sine = self.tau / (2 * math.sqrt(1 - self.tau))
        return 2 * math.asin(sine) / self.period if sine <= 1 else None

    @property
    def noise_gain(self) -> float:
        """Variance of T over the variance of Q where Q is white noise: (1−c)/(1+c); 1 for a hard copy."""
        return self.tau / (2 - self.tau)

    def lag_matched_period(self) -> int:
        """Gradient steps N from one hard copy to the next that give the same mean lag, rounded, at least 1.

        Returns: N = 2·mean_lag + 1, which is (1+c)/(1−c) for period 1. Right to second order in α.
        """
        return max(1, round(2 * self.mean_lag + 1))

    def at_cadence(self, k: int) -> TargetUpdate:
        """The same forgetting, fired at every k-th gradient step: c → c^(k/period). Hard copies stay hard copies."""
        share = 1.0 if self.tau == 1 else -math.expm1(k / self.period * math.log1p(-self.tau))
        return TargetUpdate(share, k)

    def scaled_batch(self, k: float) -> TargetUpdate:
        """The update to use when the batch and α both grow by the factor `k`: c → c^k; a hard copy's period / k.

        κ = (1−c)/α stays to first order, so the dynamics per sample do. Source: Busbridge et al. 2023, where
        the model EMA is rescaled by the same power.
        Errors: ValueError where `k` is not a finite number above 0.
        """
        if not (math.isfinite(k) and k > 0):
            raise ValueError(f"k = {k!r} must be a finite factor above 0 on the batch size")
        if self.tau == 1:
            return TargetUpdate(1.0, max(1, round(self.period / k)))
        return TargetUpdate(-math.expm1(k * math.log1p(-self.tau)), self.period)


def _finite(name: str, value: float, least: float) -> None:
    if not (math.isfinite(value) and value >= least):
        raise ValueError(f"{name} = {value!r} must be a finite number of gradient steps, at least {least:g}")
