"""Builders of conventions for functions and classes that the user's own loop calls after every gradient step."""

from __future__ import annotations

from collections.abc import Callable

from softstep.conventions.libraries.shared import (
    caller_pace,
    check_tau,
    meaning_at_caller_pace,
    update_every_step,
)
from softstep.conventions.library import Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning

Rules = tuple[Callable[[Settings], Meaning], Callable[[Meaning], SettingsOrReason]]
"""How settings are read and how they are written."""


def weight_of_new(tau: str, period: str | None = None) -> Rules:
    """Return the rules of a library with a weight of the new parameters and, perhaps, a period of calls.

    Args:
        tau: name of the weight.
        period: name of the period; None if the target moves at every call.
    """

    def meaning_of(settings: Settings) -> Meaning:
        calls = settings[period] if period else 1
        return meaning_at_caller_pace(check_tau(tau, settings[tau]), calls, settings)

    def settings_of(meaning: Meaning) -> SettingsOrReason:
        if period:
            return {tau: meaning.update.tau, period: meaning.update.period, **caller_pace(meaning)}
        return update_every_step(meaning, lambda value: {tau: value, **caller_pace(meaning)})

    return meaning_of, settings_of


def weight_of_old(decay: str) -> Rules:
    """Return the rules of a library with a weight of the old target, named `decay`, at every call."""

    def meaning_of(settings: Settings) -> Meaning:
        return meaning_at_caller_pace(check_tau(decay, 1 - settings[decay]), 1, settings)

    def settings_of(meaning: Meaning) -> SettingsOrReason:
        return update_every_step(meaning, lambda tau: {decay: 1 - tau, **caller_pace(meaning)})

    return meaning_of, settings_of
