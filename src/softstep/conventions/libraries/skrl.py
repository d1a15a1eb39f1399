"""skrl: DQN and SAC."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, update_every_step, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning

_LOOP = {"gradient_steps": Setting(1), "num_envs": Setting(1)}


def _dqn_meaning(settings: Settings) -> Meaning:
    tau, period = check_tau("polyak", settings["polyak"]), Fraction(int(settings["target_update_interval"]))
    pace = Fraction(int(settings["gradient_steps"]), int(settings["update_interval"]))
    return Meaning(tau, period, int(settings["num_envs"]), pace)


def _dqn_settings(meaning: Meaning) -> SettingsOrReason:
    return {
        "polyak": meaning.update.tau,
        "target_update_interval": meaning.update.period,
        "update_interval": meaning.gradient_steps.denominator,
        "gradient_steps": meaning.gradient_steps.numerator,
        "num_envs": meaning.num_envs,
    }


def _sac_meaning(settings: Settings) -> Meaning:
    tau, gradient_steps = check_tau("polyak", settings["polyak"]), Fraction(int(settings["gradient_steps"]))
    return Meaning(tau, Fraction(1), int(settings["num_envs"]), gradient_steps)


def _sac_settings(meaning: Meaning) -> SettingsOrReason:
    if meaning.gradient_steps.denominator > 1:
        return "it needs an integer number of gradient steps, at least 1, per step of the environments"
    loop = {"gradient_steps": meaning.gradient_steps.numerator, "num_envs": meaning.num_envs}
    return update_every_step(meaning, lambda tau: {"polyak": tau, **loop})


DQN = Library(
    title="skrl, DQN",
    version="2.0.0 (c29ced63)",
    source="Toni-SM/skrl:skrl/agents/torch/dqn/dqn.py:257, 275, 325-327, dqn_cfg.py:26, 82-85",
    settings={
        "polyak": weight(0.005),
        "target_update_interval": Setting(10),
        "update_interval": Setting(1),
        **_LOOP,
    },
    weighs="polyak: new",
    clock="gradient steps",
    meaning=_dqn_meaning,
    write=_dqn_settings,
    remarks=("elsewhere polyak is usually the weight of the old target; here it is that of the new parameters",),
)

SAC = Library(
    title="skrl, SAC",
    version="2.0.0 (c29ced63)",
    source="Toni-SM/skrl:skrl/agents/torch/sac/sac.py:304, 410-411, sac_cfg.py:14, 26",
    settings={"polyak": weight(0.005), **_LOOP},
    weighs="polyak: new",
    clock="gradient steps",
    meaning=_sac_meaning,
    write=_sac_settings,
)
