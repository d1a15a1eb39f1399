"""torchrl: SoftUpdate and HardUpdate."""

from __future__ import annotations

from softstep.conventions.libraries.shared import (
    CALLER_PACE,
    caller_pace,
    check_tau,
    meaning_at_caller_pace,
    only_hard_copies,
    update_every_step,
    weight,
)
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _soft_meaning(settings: Settings) -> Meaning:
    return meaning_at_caller_pace(check_tau("tau", settings["tau"]), 1, settings)


def _soft_settings(meaning: Meaning) -> SettingsOrReason:
    return update_every_step(meaning, lambda tau: {"tau": tau, **caller_pace(meaning)})


def _hard_meaning(settings: Settings) -> Meaning:
    return meaning_at_caller_pace(1.0, settings["value_network_update_interval"] + 1, settings)


def _hard_settings(meaning: Meaning) -> SettingsOrReason:
    if meaning.update.tau < 1:
        return only_hard_copies(meaning)
    return {"value_network_update_interval": meaning.update.period - 1, **caller_pace(meaning)}


SOFT_UPDATE = Library(
    title="torchrl, SoftUpdate(tau=…)",
    version="0.14",
    source="torchrl/objectives/utils.py:563-588",
    settings={"tau": weight(None), **CALLER_PACE},
    weighs="tau: new",
    clock="calls of step()",
    meaning=_soft_meaning,
    write=_soft_settings,
    remarks=("its other argument, eps = 1 − tau, weighs the old target", "buffers do not move"),
    complements={"eps": "tau", "target_update_polyak": "tau"},
)

HARD_UPDATE = Library(
    title="torchrl, HardUpdate",
    version="0.14",
    source="torchrl/objectives/utils.py:605-624",
    settings={"value_network_update_interval": Setting(1000, minimum=0), **CALLER_PACE},
    weighs="",
    clock="calls of step(), plus one",
    meaning=_hard_meaning,
    write=_hard_settings,
    remarks=("HardUpdate(N) copies at every (N + 1)-th call", "buffers do not move"),
    aliases={"hard_update_freq": "value_network_update_interval"},
)
