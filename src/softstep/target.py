"""The target update: its formula, written once, and the units of a pair (τ, period).

    T ← c·T + (1 − c)·Q,    τ = 1 − c,    applied at every `period`-th gradient step.

τ is constant or, as an experiment, harmonic: τ_t = min(τ₀, factor/((1−γ)·t)) at gradient step t.

All times are counted in gradient steps of the learner. The module needs only the standard library, so that every
adapter (PyTorch, Keras, JAX, NumPy) can share it.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

DEFAULT_TAU = 0.005
"""τ of a constant target that names none."""
LARGEST_TAU0 = 0.3
"""τ₀ of a harmonic target if the length of the training is unknown, and the largest that `adam_tau0` returns."""
DEFAULT_FACTOR = 3.0
"""Factor of a harmonic target; lag matching gives it in the limit γ → 1."""


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


def scheduled_tau(tau: Any, harmonic_steps: Any, step: Any, *, minimum: Callable[[Any, Any], Any]) -> Any:
    """Return τ at a gradient step: min(τ₀, K/t), which is τ itself for K = ∞.

    Args:
        tau: τ, or τ₀ of a harmonic target.
        harmonic_steps: K = factor/(1−γ) in gradient steps; infinite for a constant target.
        step: t, the number of the gradient step, counted from 1.
        minimum: the backend's own minimum (`min`, `numpy.minimum`, `jax.numpy.minimum`).
    """
    return minimum(tau, harmonic_steps / step)


def adam_tau0(learning_rate: float, gradient_steps: float) -> float:
    """Return the default τ₀ of a harmonic target whose Q is trained with Adam: min(0.3, 60/(√α·G)).

    A rule of thumb that is not derived; docs/harmonic.md says what is known of it.

    Args:
        learning_rate: α, above 0.
        gradient_steps: G, the gradient steps of the whole training, above 0.
    """
    return min(LARGEST_TAU0, 60 / (math.sqrt(learning_rate) * gradient_steps))


def weight_beside_tau0(name: str, value: Any) -> str:
    """Return the error message for a harmonic target that was given a constant weight, `tau` or `c`."""
    return f"{name} = {value!r} is not a setting of a harmonic target: leave it out, or set tau0, from which tau falls"


@dataclass(frozen=True, repr=False)
class TargetUpdate:
    """The rule by which the target network follows the online network, counted in gradient steps.

    For a harmonic target `tau` is τ₀, and the properties, such as `c` and `half_life`, are those of its first update;
    `at` gives the rule at a later gradient step.
    """

    tau: float = DEFAULT_TAU
    """Weight of the new (online) parameters, in (0, 1]; c = 1 − τ is the weight of the old parameters."""
    period: int = 1
    """Gradient steps from one update of the target to the next; 1 updates it after every gradient step."""
    schedule: Literal["constant", "harmonic"] = "constant"
    """How τ changes: not at all, or (experimental) harmonic, τ = min(τ₀, factor/((1−γ)·t)) at gradient step t."""
    tau0: float | None = None
    """τ₀, the largest τ of a harmonic target; None: with Adam min(0.3, 60/(√α·gradient steps of the run)), else 0.3."""
    factor: float = DEFAULT_FACTOR
    """Factor of a harmonic target, above 0."""
    gamma: float | None = None
    """γ in the schedule of a harmonic target, in [0, 1); None takes the agent's."""

    def __post_init__(self) -> None:
        tau = _weight("tau", self.tau)
        period = _python_integer("period", self.period)
        if not 1 <= period < 2**31:
            raise ValueError(
                f"period = {period!r} must be an integer number of gradient steps, at least 1 and below 2**31"
            )
        if self.schedule == "harmonic":
            tau = self._check_harmonic(tau)
        elif self.schedule == "constant":
            for name, default in (("tau0", None), ("factor", DEFAULT_FACTOR), ("gamma", None)):
                if getattr(self, name) != default:
                    raise ValueError(
                        f"{name} = {getattr(self, name)!r} is a setting of a harmonic target: set schedule ="
                        f" 'harmonic', or leave {name} out"
                    )
        else:
            raise ValueError(f"schedule = {self.schedule!r} is unknown: choose 'constant' or 'harmonic'")
        object.__setattr__(self, "tau", tau)
        object.__setattr__(self, "period", period)

    def _check_harmonic(self, tau: float) -> float:
        """Return τ₀ of a harmonic target after checking its settings; `tau` is what the caller gave or the default."""
        tau0 = LARGEST_TAU0 if self.tau0 is None else _weight("tau0", self.tau0)
        if tau not in (DEFAULT_TAU, tau0):
            raise ValueError(weight_beside_tau0("tau", tau))
        factor = _python_number("factor", self.factor)
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"factor = {factor!r} must be finite and above 0: tau falls as factor/((1 - gamma)*t)")
        if self.gamma is not None:
            gamma = _python_number("gamma", self.gamma)
            if not 0 <= gamma < 1:
                raise ValueError(
                    f"gamma = {gamma!r} is outside [0, 1): a harmonic target falls as factor/((1 - gamma)*t)"
                )
            object.__setattr__(self, "gamma", gamma)
        if self.tau0 is not None:
            object.__setattr__(self, "tau0", tau0)
        object.__setattr__(self, "factor", factor)
        return tau0

    def __repr__(self) -> str:
        names = ("tau", "period") if self.schedule == "constant" else ("period", "schedule", "tau0", "factor", "gamma")
        return f"TargetUpdate({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    @classmethod
    def harmonic(
        cls, gamma: float, tau0: float = LARGEST_TAU0, factor: float = DEFAULT_FACTOR, period: int = 1
    ) -> TargetUpdate:
        """Return an update whose τ falls with the gradient steps: τ_t = min(τ₀, factor/((1−γ)·t)). Experimental.

        Args:
            gamma: γ, the discount per step, in [0, 1).
            tau0: τ₀, the largest τ, in (0, 1]; `adam_tau0` returns a default for a training of known length.
            factor: 3 gives T about the lag of hard copies whose period grows by ⅔(1−γ) per gradient step.
            period: gradient steps from one update of the target to the next.

        Raises:
            ValueError: an argument is out of range.
        """
        return cls(period=period, schedule="harmonic", tau0=tau0, factor=factor, gamma=gamma)

    def resolved(self, gamma: float, tau0: float = LARGEST_TAU0) -> TargetUpdate:
        """Return the update with the settings that a harmonic target leaves open: γ and τ₀.

        Raises ValueError if it takes the given γ and that is outside [0, 1).
        """
        if self.schedule == "constant":
            return self
        own_gamma, own_tau0 = self.gamma, self.tau0
        return TargetUpdate.harmonic(
            gamma if own_gamma is None else own_gamma, tau0 if own_tau0 is None else own_tau0, self.factor, self.period
        )

    @property
    def harmonic_steps(self) -> float:
        """K = factor/(1−γ) of a harmonic target, so that τ_t = min(τ₀, K/t); infinite for a constant one.

        Raises ValueError if γ is still open.
        """
        if self.schedule == "constant":
            return math.inf
        if self.gamma is None:
            raise ValueError("gamma is missing: a harmonic target falls as factor/((1 - gamma)*t), so give it gamma")
        return self.factor / (1 - self.gamma)

    def tau_at(self, step: int) -> float:
        """Return τ at gradient step `step`, counted from 1."""
        return (
            self.tau if self.schedule == "constant" else scheduled_tau(self.tau, self.harmonic_steps, step, minimum=min)
        )

    def at(self, step: int) -> TargetUpdate:
        """Return the constant update with τ at gradient step `step`, counted from 1."""
        return TargetUpdate(self.tau_at(step), self.period)

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
        if self.tau < 1 or self.schedule == "harmonic":
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
        self._refuse_harmonic("lag-matched period")
        return max(1, round(2 * self.mean_lag + 1))

    def at_cadence(self, k: int) -> TargetUpdate:
        """Return the update at every k-th gradient step with the same decay per step: c → c^(k/period).

        Hard copies stay hard copies.
        """
        self._refuse_harmonic("decay per step")
        k = _python_integer("k", k)
        tau = 1.0 if self.tau == 1 else -math.expm1(k / self.period * math.log1p(-self.tau))
        return TargetUpdate(tau, k)

    def scaled_batch(self, k: float) -> TargetUpdate:
        """Return the update to use when the batch size and α both grow by the factor `k`: c → c^k.

        The period of a hard copy is divided by `k`. This keeps κ = (1−c)/α, and with it the dynamics per sample, to
        first order. Source: Busbridge et al. 2023, who rescale the model EMA by the same power.
        Raises ValueError if `k` is not a finite number above 0.
        """
        self._refuse_harmonic("decay per batch")
        k = _python_number("k", k)
        if not (math.isfinite(k) and k > 0):
            raise ValueError(f"k = {k!r} must be finite and above 0: it is the factor on the batch size")
        if self.tau == 1:
            return TargetUpdate(1.0, max(1, round(self.period / k)))
        return TargetUpdate(-math.expm1(k * math.log1p(-self.tau)), self.period)

    def _refuse_harmonic(self, what: str) -> None:
        if self.schedule == "harmonic":
            raise ValueError(f"a harmonic target has no constant {what}: take it at a gradient step, update.at(step)")


def _weight(name: str, value: Any) -> float:
    """Return a weight of the new parameters. Raises ValueError if it is outside (0, 1]."""
    weight = _python_number(name, value)
    if not 0 < weight <= 1:
        raise ValueError(
            f"{name} = {weight!r} is outside (0, 1]: it is the weight of the new parameters"
            f" ({name} = 1 copies; c = 1 - {name} is the weight of the old)"
        )
    return weight


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
