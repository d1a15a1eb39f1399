"""The window of τ for a run: what is too slow, what may be too fast, and how well each end is founded.

Everything is counted in gradient steps. With a period P the window holds for τ/P, the share of Q that T takes over per
gradient step on average.
"""

from __future__ import annotations

import enum
import math
import numbers
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from softstep.advice.speed import SpeedLaw, shipped_law
from softstep.errors import ConfigError, near

OPTIMIZERS = {
    "adam": "measured",
    "adamw": "per-weight", "adamax": "per-weight", "amsgrad": "per-weight", "nadam": "per-weight",
    "nadamw": "per-weight", "radam": "per-weight", "adabelief": "per-weight", "lion": "per-weight",
    "rmsprop": "per-weight",
    "sgd": "gradient-sized", "momentum": "gradient-sized", "nesterov": "gradient-sized",
}  # fmt: skip
"""Known optimizers: measured; with steps of about α per weight like Adam's; or with steps as large as the gradient."""
PATIENCE = 3.0
"""How many times as fast as certainly too slow the target should be: a rule of thumb."""
SPEED_LIMIT = 1e-3
"""Standard deviations of y by which y should move at most in one gradient step (RMS): a rule of thumb."""
LARGEST_TAU = 0.3
"""Upper end of every window: the largest measured τ that still is a target network."""

Basis = Literal["theorem", "measured", "rule of thumb"]


class Reason(NamedTuple):
    """One sentence, and what it rests on."""

    end: Literal["low", "high"]
    """The end of the window that it is about."""
    basis: Basis
    text: str


class Place(enum.Enum):
    """Where a target update lies, seen from a window."""

    INSIDE = "inside the window"
    CERTAINLY_SLOW = "certainly too slow for the level of the values"
    PROBABLY_SLOW = "probably too slow"
    FAST = "above the window"
    NO_TARGET = "outside the window, because there is no target network"


@dataclass(frozen=True)
class Window:
    """Values of τ that are neither too slow nor too fast, with the reasons."""

    low: float
    """Smallest τ per gradient step: `PATIENCE`/((1−γ)·G)."""
    high: float
    """Largest τ per gradient step."""
    certainly_slow: float
    """1/((1−γ)·G): below it the level of the values cannot arrive in time."""
    period: float
    """Gradient steps between two target updates."""
    reasons: tuple[Reason, ...]
    warnings: tuple[str, ...]

    @property
    def exists(self) -> bool:
        """Whether some τ is both fast enough and safe, with this period."""
        return self.low < self.high and self.low * self.period <= 1

    @property
    def per_update(self) -> tuple[float, float]:
        """The window for τ of one target update, every `period` gradient steps: both ends times the period, at most 1.

        At the lower end this is exact: there, only the number of target updates counts.
        """
        return min(1.0, self.low * self.period), min(1.0, self.high * self.period)

    def place(self, tau: float) -> Place:
        """Return where `tau`, taken over every `period` gradient steps, lies."""
        if tau == 1 and self.period == 1:
            return Place.NO_TARGET
        share = tau / self.period
        if share < self.low:
            return Place.CERTAINLY_SLOW if share < self.certainly_slow else Place.PROBABLY_SLOW
        return Place.FAST if share > self.high else Place.INSIDE


def window(
    gamma: float,
    updates: float,
    learning_rate: float,
    optimizer: str = "adam",
    period: float = 1,
    *,
    law: SpeedLaw | None = None,
) -> Window:
    """Return the window of τ from low = 3/((1−γ)·G) to the τ at which y moves by .001 standard deviations per step.

    Args:
        gamma: γ, the discount per environment step, in [0, 1).
        updates: G, gradient steps of the whole run, at least 1.
        learning_rate: α, above 0.
        optimizer: name of the optimizer, one of `OPTIMIZERS`.
        period: gradient steps between two target updates, at least 1.
        law: how fast y moves; None takes what was measured in the atlas, with Adam.

    Raises:
        ConfigError: a number is out of range, or the optimizer is unknown.
    """
    gamma, updates, learning_rate, period = _checked(gamma, updates, learning_rate, period)
    if optimizer not in OPTIMIZERS:
        known = list(OPTIMIZERS)
        raise ConfigError(f"optimizer = {optimizer!r} is unknown{near(optimizer, known)}: {', '.join(known)}")
    law = shipped_law() if law is None else law
    certainly_slow = 1 / ((1 - gamma) * updates)
    low, high = PATIENCE * certainly_slow, LARGEST_TAU
    if OPTIMIZERS[optimizer] != "gradient-sized":
        high = min(high, law.tau_at(SPEED_LIMIT, learning_rate))
    reasons = (*_why_not_slower(gamma, updates, certainly_slow), *_why_not_faster(learning_rate, optimizer, high, law))
    return Window(low, high, certainly_slow, period, reasons, tuple(_warnings(learning_rate, optimizer, law)))


def remaining_error(tau: float, gamma: float, updates: float) -> float:
    """Return the share of an error in the level of all values that is left after the run, (1 − τ(1−γ))^G.

    It holds for a Q-network that fits y perfectly at every step (αb = 1 in one dimension), in a continuing task: a
    number added to all values is an eigenvector of the transitions with eigenvalue 1, so T contracts by 1 − τ(1−γ) per
    update in this direction. A smaller α leaves more of the error.
    """
    return (1 - tau * (1 - gamma)) ** updates


def two_digits(value: float) -> str:
    """Return a number with two digits, because more would be falsely sharp."""
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}"


def _why_not_slower(gamma: float, updates: float, certainly_slow: float) -> list[Reason]:
    low = PATIENCE * certainly_slow
    left = {tau: f"{remaining_error(tau, gamma, updates):.0%}" for tau in (certainly_slow, low, 1.0) if tau <= 1}
    if low <= 1:
        found = (
            f"{left[certainly_slow]} of the error is left at τ = {two_digits(certainly_slow)}, which is 1/((1−γ)·G),"
            f" and {left[low]} at three times that"
        )
    else:
        found = f"{left[1.0]} of the error is left even at τ = 1, without a target network: the run is too short"
    return [
        Reason(
            "low", "theorem",
            "Even if Q fitted y perfectly at every step, an error in the level of the values (the same number in all of"
            f" them) would shrink in T only by the share τ(1−γ) = {1 - gamma:.2g}·τ per gradient step. After G ="
            f" {updates:,.0f} of them {found}. (This holds for tasks that go on; where episodes end early, errors fade"
            " faster.)",
        ),
        Reason(
            "low", "rule of thumb",
            f"The window begins at three times 1/((1−γ)·G), {two_digits(low)}: Q does not fit y perfectly. What is too"
            " slow for the level of the values need not be too slow for good actions, which only compare them.",
        ),
    ]  # fmt: skip


def _why_not_faster(learning_rate: float, optimizer: str, high: float, law: SpeedLaw) -> list[Reason]:
    reasons = [
        Reason(
            "high", "theorem",
            "Where the steps of Q are noise, those of T are √(τ/(2−τ)) times as large, so a smaller τ calms y. But no"
            " limit on τ follows from γ, α and G alone: some linear problems need a slow target, and others are"
            " destroyed by one (softstep theory).",
        )
    ]  # fmt: skip
    if OPTIMIZERS[optimizer] == "gradient-sized":
        text = f"The window ends at τ = {LARGEST_TAU}, the largest that was measured with a target network at all."
        return [*reasons, Reason("high", "rule of thumb", text)]
    speed = law.speed(learning_rate, high)
    return [
        *reasons,
        Reason(
            "high", "measured",
            f"At τ = {two_digits(high)} and this α, y moves by about {speed:.1g} of its standard deviation per gradient"
            f" step. That is a fit to {law.cells} pairs (α, τ) in {law.environments} environments, right to a factor"
            f" of {law.scatter:.1f} or so.",
        ),
        Reason(
            "high", "rule of thumb",
            f"The window ends where that reaches {SPEED_LIMIT:g}, and at τ = {LARGEST_TAU} at the latest, the largest"
            " that was measured with a target network.",
        ),
    ]  # fmt: skip


def _warnings(learning_rate: float, optimizer: str, law: SpeedLaw) -> list[str]:
    warnings = [
        f"No target network (τ = 1), or y moving by more than {SPEED_LIMIT:g} of its standard deviation per gradient"
        " step, may blow up. It need not."
    ]
    if OPTIMIZERS[optimizer] == "gradient-sized":
        warnings.append(
            f"Nothing was measured with {optimizer}, whose steps are as large as the gradient: α says nothing about how"
            " fast y moves, and the upper end is hardly more than a guess."
        )
    elif OPTIMIZERS[optimizer] != "measured":
        warnings.append(f"Only Adam was measured. For {optimizer} the upper end assumes steps of about α per weight.")
    if OPTIMIZERS[optimizer] != "gradient-sized" and not law.slowest <= learning_rate <= law.fastest:
        warnings.append(
            f"α = {learning_rate:g} is outside what was measured ({law.slowest:g} to {law.fastest:g}): the upper end is"
            " extrapolated."
        )
    return warnings


def _checked(gamma: Any, updates: Any, learning_rate: Any, period: Any) -> tuple[float, float, float, float]:
    """Return the four numbers as floats. Raises ConfigError for the first that is not a number or out of range."""
    gamma = _number("gamma", gamma)
    if not 0 <= gamma < 1:
        raise ConfigError(f"gamma = {gamma:g} must be in [0, 1): at 1 there is no horizon 1/(1−γ) to compare with")
    updates = _number("updates", updates)
    if not 1 <= updates < math.inf:
        raise ConfigError(f"updates = {updates:g} must be at least 1: it counts the gradient steps of the whole run")
    learning_rate = _number("learning_rate", learning_rate)
    if not 0 < learning_rate < math.inf:
        raise ConfigError(f"learning_rate = {learning_rate:g} must be a finite number above 0")
    period = _number("period", period)
    if not 1 <= period < 2**31:
        raise ConfigError(f"period = {period:g} must be at least 1 and below 2**31: it counts gradient steps")
    return gamma, updates, learning_rate, period


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ConfigError(f"{name} = {value!r} must be a number, not {type(value).__name__}")
    return float(value)
