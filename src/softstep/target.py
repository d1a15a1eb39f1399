"""The target update: its formula, written once, and the units of a pair (τ, period).

    T ← c·T + (1 − c)·Q,    τ = 1 − c,    applied at every `period`-th gradient step.

All times are counted in gradient steps of the learner. The module needs only the standard library, so that every
adapter (PyTorch, Keras, JAX, NumPy) can share it.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


def blend(target: Any, online: Any, tau: Any, *, where: Callable[[Any, Any, Any], Any]) -> Any:
    """Return `target` moved a fraction `tau` of the way to `online`.

    The `where` makes hard copies and "no target network" exact: at τ = 1 the linear interpolation alone misses
    `online` in the last bit for about a third of all float32 pairs.
    Source: Lillicrap et al. 2015, "Continuous control with deep reinforcement learning", algorithm 1.

    Args:
        target: old target parameters, any shape.
        online: online parameters, same shape as `target`.
        tau: weight of the online parameters, broadcastable to their shape.
        where: the backend's own selection (`numpy.where`, `jax.numpy.where`, `torch.where`).

    Returns:
        where(τ = 1, online, target + τ·(online − target)), which equals c·target + (1−c)·online with c = 1 − τ.
    """
    return where(tau == 1, online, target + tau * (online - target))


@dataclass(frozen=True)
class TargetUpdate:
    """The rule by which the target network follows the online network, counted in gradient steps."""

    tau: float = 0.005
    """Weight of the new (online) parameters, in (0, 1]; c = 1 − τ is the weight of the old parameters."""
    period: int = 1
    """Gradient steps from one update of the target to the next; 1 updates it after every gradient step."""

    def __post_init__(self) -> None:
        tau = _python_number("tau", self.tau)
        if not 0 < tau <= 1:
            raise ValueError(
                f"tau = {tau!r} is outside (0, 1]: it is the weight of the new parameters"
                " (tau = 1 copies; c = 1 - tau is the weight of the old)"
            )
        period = _python_integer("period", self.period)
        if not 1 <= period < 2**31:
            raise ValueError(
                f"period = {period!r} must be an integer number of gradient steps, at least 1 and below 2**31"
            )
        object.__setattr__(self, "tau", tau)
        object.__setattr__(self, "period", period)

    @classmethod
    def from_c(cls, c: float, period: int = 1) -> TargetUpdate:
        """Return the update that gives the old target the weight `c` in [0, 1): τ = 1 − c."""
        c = _python_number("c", c)
        if not 0 <= c < 1:
            raise ValueError(f"c = {c!r} is outside [0, 1): it is the weight of the old target (tau = 1 - c)")
        return cls(1 - c, period)

    @classmethod
    def hard(cls, period: int) -> TargetUpdate:
        """Return a full copy (τ = 1) at every `period`-th gradient step. Source: Mnih et al. 2015."""
        return cls(1.0, period)

    @classmethod
    def none(cls) -> TargetUpdate:
        """Return a full copy after every gradient step, which is the same as having no target network."""
        return cls(1.0, 1)

    @property
    def c(self) -> float:
        """Weight of the old target, c = 1 − τ."""
        return 1 - self.tau

    @property
    def kind(self) -> Literal["soft", "hard", "none"]:
        """`none` if the target always equals the online network, `hard` for full copies, `soft` otherwise."""
        if self.tau < 1:
            return "soft"
        return "none" if self.period == 1 else "hard"

    @classmethod
    def from_half_life(cls, half_life: float, period: int = 1) -> TargetUpdate:
        """Return the update that transfers half of a change of Q to T within `half_life` gradient steps.

        It has c = 2^(−period/half_life), so that its `.half_life` is `half_life`; 0 gives a full copy.
        Raises ValueError if `half_life` is negative or not finite.
        """
        half_life, period = _finite_steps("half_life", half_life, 0.0), _python_integer("period", period)
        return cls(1.0 if half_life == 0 else -math.expm1(-period * math.log(2) / half_life), period)

    @classmethod
    def from_lag(cls, lag: float, period: int = 1) -> TargetUpdate:
        """Return the update whose target is `lag` gradient steps behind on average.

        It has τ = period/(lag + (period + 1)/2), the inverse of `.mean_lag`.
        Raises ValueError if `lag` is below (period − 1)/2, the mean age due to the period alone.
        """
        period = _python_integer("period", period)
        lag = _finite_steps("lag", lag, (period - 1) / 2)
        return cls(period / (lag + (period + 1) / 2), period)

    @property
    def half_life(self) -> float:
        """Gradient steps until half of a change of Q has reached T: period·ln ½ / ln c; 0 if τ = 1."""
        return 0.0 if self.tau == 1 else self.period * math.log(0.5) / math.log1p(-self.tau)

    @property
    def mean_lag(self) -> float:
        """Mean age of the parameters in T, in gradient steps: period·c/(1−c) + (period−1)/2.

        The mean is taken over the steps between two updates. It is also the lag of T behind a Q that moves at
        constant speed. A hard copy has (period − 1)/2.
        """
        return self.period * (1 - self.tau) / self.tau + (self.period - 1) / 2

    @property
    def time_constant(self) -> float:
        """Gradient steps until a gap has shrunk by the factor e: −period/ln c; 0 if τ = 1."""
        return 0.0 if self.tau == 1 else -self.period / math.log1p(-self.tau)

    @property
    def cutoff(self) -> float | None:
        """Angular frequency at which the filter Q→T passes half the power, in radians per gradient step.

        It is 2·asin((1−c)/(2√c))/period, or None for c < 3 − 2√2, because then every frequency keeps more than half.
        """
        if self.tau == 1:
            return None
        sine = self.tau / (2 * math.sqrt(1 - self.tau))
        return 2 * math.asin(sine) / self.period if sine <= 1 else None

    @property
    def noise_gain(self) -> float:
        """Variance of T over the variance of Q when Q is white noise: (1−c)/(1+c); 1 for a hard copy."""
        return self.tau / (2 - self.tau)

    def lag_matched_period(self) -> int:
        """Return the period N of hard copies with the same mean lag, rounded, at least 1.

        It is N = 2·mean_lag + 1, or (1+c)/(1−c) for period 1. The two targets agree to second order in α.
        """
        return max(1, round(2 * self.mean_lag + 1))

    def at_cadence(self, k: int) -> TargetUpdate:
        """Return the update at every k-th gradient step with the same decay per step: c → c^(k/period).

        Hard copies stay hard copies.
        """
        k = _python_integer("k", k)
        tau = 1.0 if self.tau == 1 else -math.expm1(k / self.period * math.log1p(-self.tau))
        return TargetUpdate(tau, k)

    def scaled_batch(self, k: float) -> TargetUpdate:
        """Return the update to use when the batch size and α both grow by the factor `k`: c → c^k.

        The period of a hard copy is divided by `k`. This keeps κ = (1−c)/α, and with it the dynamics per sample, to
        first order. Source: Busbridge et al. 2023, who rescale the model EMA by the same power.
        Raises ValueError if `k` is not a finite number above 0.
        """
        k = _python_number("k", k)
        if not (math.isfinite(k) and k > 0):
            raise ValueError(f"k = {k!r} must be finite and above 0: it is the factor on the batch size")
        if self.tau == 1:
            return TargetUpdate(1.0, max(1, round(self.period / k)))
        return TargetUpdate(-math.expm1(k * math.log1p(-self.tau)), self.period)


def _finite_steps(name: str, value: float, minimum: float) -> float:
    """Return a number of gradient steps. Raises ValueError if it is below `minimum` or not finite."""
    value = _python_number(name, value)
    if not (math.isfinite(value) and value >= minimum):
        raise ValueError(f"{name} = {value!r} must be a finite number of gradient steps, at least {minimum:g}")
    return value


def _python_number(name: str, value: Any) -> float:
    """Return a real number of any library, for example a `numpy.float32`, as a Python number."""
    if type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"{name} = {value!r} must be a Python number, not {type(value).__name__}: pass float({name})")
    return float(value)


def _python_integer(name: str, value: Any) -> int:
    """Return an integer of any library, for example a `numpy.int64`, as a Python integer."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError(f"{name} = {value!r} must be a Python integer, not {type(value).__name__}: pass int({name})")
    return int(value)
