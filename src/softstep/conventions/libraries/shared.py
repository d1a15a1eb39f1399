"""Helpers that the conventions of several libraries share."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from softstep.conventions.library import Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning
from softstep.errors import ConfigError
from softstep.target import TargetUpdate

SMALLEST_PACE = 1e-6
"""The smallest ratio of two kinds of steps: ratios are kept as fractions with denominators of up to a million."""


def weight(default: float | None) -> Setting:
    """Return a setting that is a weight, in [0, 1]."""
    return Setting(default, is_integer=False, minimum=0, maximum=1)


def pace(default: float | None) -> Setting:
    """Return a setting that is a ratio of two kinds of steps, above 0."""
    return Setting(default, is_integer=False, minimum=SMALLEST_PACE)


CALLER_PACE = {"env_steps_per_gradient_step": pace(1.0)}
"""The extra setting of functions that the user's own loop calls after every gradient step."""
NEEDS_ONE_ENV = "it needs one environment and an integer number of environment steps per gradient step"
"""Why libraries that run one environment cannot express a meaning."""


def check_tau(key: str, tau: float) -> float:
    """Return τ. Raises ConfigError, naming the setting `key`, unless it is in (0, 1]."""
    if not 0 < tau <= 1 or 1 - tau == 1:
        raise ConfigError(f"{key} gives τ = {tau:g}, which never moves the target: τ must be in (0, 1]")
    return tau


def integer_or_none(value: Fraction) -> int | None:
    """Return `value` as an int, or None if it is not an integer of at least 1."""
    return int(value) if value.denominator == 1 and value >= 1 else None


def meaning_at_caller_pace(tau: float, period: float, settings: Settings) -> Meaning:
    """Return the meaning for a library that the user's own loop calls, from its `CALLER_PACE` setting."""
    gradient_steps = 1 / Fraction(settings["env_steps_per_gradient_step"]).limit_denominator(10**6)
    return Meaning(tau, Fraction(period), 1, gradient_steps)


def caller_pace(meaning: Meaning) -> dict[str, float]:
    """Return the value of the `CALLER_PACE` setting."""
    return {"env_steps_per_gradient_step": float(meaning.env_steps_per_gradient_step)}


def tau_and_env_steps(meaning: Meaning) -> tuple[float, Fraction]:
    """Return τ and the environment steps between updates, taken from `meaning.update` unless they are an integer."""
    env_steps = meaning.period * meaning.env_steps_per_gradient_step
    if env_steps.denominator == 1:
        return meaning.tau, env_steps
    return meaning.update.tau, meaning.update.period * meaning.env_steps_per_gradient_step


def only_hard_copies(meaning: Meaning) -> str:
    """Return why a library without soft updates cannot express a soft meaning, with the nearest hard copy."""
    period = meaning.update.lag_matched_period()
    return f"it only makes hard copies; one every {period} gradient steps has the same mean lag"


def update_every_step(meaning: Meaning, settings: Callable[[float], dict[str, float]]) -> SettingsOrReason:
    """Return `settings(tau)` with the same half-life, for libraries that update after every gradient step."""
    if meaning.update.kind == "hard":
        tau = TargetUpdate.from_lag(meaning.mean_lag).tau
        return f"it has no period; τ = {tau:.4g} after every gradient step has the same mean lag"
    return settings(meaning.update.at_cadence(1).tau)
