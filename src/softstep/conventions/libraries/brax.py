"""brax: SAC."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, update_every_step, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _meaning(settings: Settings) -> Meaning:
    pace = Fraction(int(settings["grad_updates_per_step"]), int(settings["action_repeat"]))
    return Meaning(check_tau("tau", settings["tau"]), Fraction(1), int(settings["num_envs"]), pace)


def _settings(meaning: Meaning) -> SettingsOrReason:
    loop = {
        "grad_updates_per_step": meaning.gradient_steps.numerator,
        "action_repeat": meaning.gradient_steps.denominator,
        "num_envs": meaning.num_envs,
    }
    if loop["action_repeat"] > 1:
        return "it makes at least one gradient step per step of the environments"
    return update_every_step(meaning, lambda tau: {"tau": tau, **loop})


SAC = Library(
    title="brax, SAC",
    version="0b96d056",
    source="google/brax:brax/training/agents/sac/train.py:130-144, 178, 308-312, 381-388",
    settings={
        "tau": weight(0.005),
        "grad_updates_per_step": Setting(1),
        "num_envs": Setting(1),
        "action_repeat": Setting(1),
    },
    weighs="tau: new",
    clock="gradient steps",
    meaning=_meaning,
    write=_settings,
    remarks=("every repetition of an action counts as an environment step",),
)
