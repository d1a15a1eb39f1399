"""DI-engine: DQN and SAC."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, only_hard_copies, update_every_step, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _pace(settings: Settings) -> Fraction:
    return Fraction(int(settings["update_per_collect"]), int(settings["n_sample"]))


def _loop_settings(meaning: Meaning) -> dict[str, float]:
    per_step = 1 / meaning.env_steps_per_gradient_step
    return {"update_per_collect": per_step.numerator, "n_sample": per_step.denominator}


def _dqn_meaning(settings: Settings) -> Meaning:
    return Meaning(1.0, Fraction(int(settings["target_update_freq"])), 1, _pace(settings))


def _dqn_settings(meaning: Meaning) -> SettingsOrReason:
    if meaning.update.tau < 1:
        return only_hard_copies(meaning)
    return {"target_update_freq": meaning.update.period, **_loop_settings(meaning)}


def _sac_meaning(settings: Settings) -> Meaning:
    return Meaning(check_tau("target_theta", settings["target_theta"]), Fraction(1), 1, _pace(settings))


def _sac_settings(meaning: Meaning) -> SettingsOrReason:
    return update_every_step(meaning, lambda tau: {"target_theta": tau, **_loop_settings(meaning)})


DQN = Library(
    title="DI-engine, DQN",
    version="d0b21d06",
    source="opendilab/DI-engine:ding/policy/dqn.py:111-137, 204-219, 303, model/wrapper/model_wrappers.py:933-937",
    settings={"target_update_freq": Setting(100), "update_per_collect": Setting(3), "n_sample": Setting(8)},
    weighs="",
    clock="gradient steps",
    meaning=_dqn_meaning,
    write=_dqn_settings,
    remarks=(
        "target_theta has no effect: the default target_update_freq is merged into every configuration and comes first"
        " (config/config.py:455)",
    ),
    without_effect=("target_theta",),
)

SAC = Library(
    title="DI-engine, SAC",
    version="d0b21d06",
    source="opendilab/DI-engine:ding/policy/sac.py:52, 63, 94, 189, model/wrapper/model_wrappers.py:938-942",
    settings={"target_theta": weight(0.005), "update_per_collect": Setting(1), "n_sample": Setting(1)},
    weighs="target_theta: new",
    clock="gradient steps",
    meaning=_sac_meaning,
    write=_sac_settings,
)
