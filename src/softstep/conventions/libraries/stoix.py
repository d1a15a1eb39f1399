"""Stoix: DQN, and the other algorithms with a soft target."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, update_every_step, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _meaning(settings: Settings) -> Meaning:
    pace = Fraction(int(settings["epochs"]), int(settings["rollout_length"]))
    return Meaning(check_tau("tau", settings["tau"]), Fraction(1), int(settings["total_num_envs"]), pace)


def _settings(meaning: Meaning) -> SettingsOrReason:
    loop = {
        "epochs": meaning.gradient_steps.numerator,
        "rollout_length": meaning.gradient_steps.denominator,
        "total_num_envs": meaning.num_envs,
    }
    return update_every_step(meaning, lambda tau: {"tau": tau, **loop})


DQN = Library(
    title="Stoix, DQN",
    version="8fff19c9",
    source="EdanToledo/Stoix:stoix/systems/q_learning/ff_dqn.py:135-137, 207-209, 225-227, configs/arch/anakin.yaml:6",
    settings={
        "tau": weight(0.005),
        "epochs": Setting(16),
        "rollout_length": Setting(2),
        "total_num_envs": Setting(1024),
    },
    weighs="tau: new",
    clock="gradient steps",
    meaning=_meaning,
    write=_settings,
    remarks=("SAC and DDPG move in the same way, with epochs=1 and rollout_length=1 by default",),
)
