"""optax: incremental_update and periodic_update."""

from __future__ import annotations

from softstep.conventions.libraries.shared import CALLER_PACE, caller_pace, check_tau, meaning_at_caller_pace, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _updates_meaning(settings: Settings) -> Meaning:
    tau = check_tau("step_size", settings["step_size"])
    return meaning_at_caller_pace(tau, settings["update_period"], settings)


def _updates_settings(meaning: Meaning) -> SettingsOrReason:
    return {"step_size": meaning.update.tau, "update_period": meaning.update.period, **caller_pace(meaning)}


UPDATES = Library(
    title="optax, incremental_update and periodic_update",
    version="0.2.8",
    source="optax/_src/update.py:50-109",
    settings={"step_size": weight(None), "update_period": Setting(1), **CALLER_PACE},
    weighs="step_size: new",
    clock="the caller's count",
    meaning=_updates_meaning,
    write=_updates_settings,
    remarks=("arguments in the order (new, old, step_size); periodic_update also updates at count 0",),
)
