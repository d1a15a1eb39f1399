"""EPyMARL: the Q-learners (QMIX, VDN, IQL)."""

from __future__ import annotations

import math

from softstep.conventions.libraries.shared import CALLER_PACE, caller_pace, check_tau, meaning_at_caller_pace
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning

_KEY = "target_update_interval_or_tau"


def _meaning(settings: Settings) -> Meaning:
    value = settings[_KEY]
    if value > 1:
        return meaning_at_caller_pace(1.0, math.ceil(value), settings)
    return meaning_at_caller_pace(check_tau(_KEY, value), 1, settings)


def _settings(meaning: Meaning) -> SettingsOrReason:
    if meaning.update.kind == "hard":
        return {_KEY: meaning.update.period, **caller_pace(meaning)}
    return {_KEY: meaning.update.at_cadence(1).tau, **caller_pace(meaning)}


Q_LEARNER = Library(
    title="EPyMARL, QLearner",
    version="cbc38c09",
    source="uoe-agents/epymarl:src/learners/q_learner.py:146-156, src/config/algs/qmix.yaml:14-15",
    settings={_KEY: Setting(200, is_integer=False, minimum=0), **CALLER_PACE},
    weighs=f"{_KEY}: new",
    clock="gradient steps: a period above 1, τ up to 1",
    meaning=_meaning,
    write=_settings,
    remarks=("its configuration files say episodes; it counts calls of train()",),
)
