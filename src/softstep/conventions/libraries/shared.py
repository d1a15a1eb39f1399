"""What several libraries' conventions share."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from softstep.config import ConfigError
from softstep.conventions.library import Setting, Settings, Written
from softstep.conventions.meaning import Meaning
from softstep.target import TargetUpdate

COUNT = Setting(1)
PACE = {"env_steps_per_gradient_step": Setting(1.0, whole=False)}
"""Of functions that a loop of the user's calls after each gradient step."""


def share(default: float | None) -> Setting:
    return Setting(default, whole=False)


def weight(key: str, tau: float) -> float:
    """τ, where it can be meant."""
    if not 0 < tau <= 1:
        raise ConfigError(f"{key} leaves the target where it is for ever: τ = {tau:g}")
    return tau


def lcm(a: float, b: float) -> int:
    return math.lcm(int(a), int(b))


def whole(value: Fraction) -> int | None:
    return int(value) if value.denominator == 1 and value >= 1 else None


def paced(tau: float, period: float, s: Settings) -> Meaning:
    return Meaning(tau, Fraction(period), 1, 1 / Fraction(s["env_steps_per_gradient_step"]).limit_denominator(10**6))


def pace_of(m: Meaning) -> dict[str, float]:
    return {"env_steps_per_gradient_step": float(m.env_steps_per_gradient_step)}


def by_env_steps(m: Meaning) -> tuple[float, Fraction]:
    """τ, and environment steps from one update of the target to the next: whole ones, if need be of `m.update`."""
    steps = m.period * m.env_steps_per_gradient_step
    if steps.denominator == 1:
        return m.tau, steps
    return m.update.tau, m.update.period * m.env_steps_per_gradient_step


def copies_only(m: Meaning) -> str:
    return f"it copies only; a copy every {m.update.lag_matched_period()} gradient steps has the same mean lag"


def every_step(m: Meaning, settings: Callable[[float], dict[str, float]]) -> Written:
    """For libraries whose target moves after every gradient step: the same half-life there."""
    if m.update.kind == "hard":
        tau = TargetUpdate.from_lag(m.mean_lag).tau
        return f"it has no period; τ = {tau:.4g} after every gradient step has the same mean lag"
    return settings(m.update.at_cadence(1).tau)
