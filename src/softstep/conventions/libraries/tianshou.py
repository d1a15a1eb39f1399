"""Tianshou: DQN, and DDPG and SAC."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, only_hard_copies, pace, update_every_step, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _gradient_steps(settings: Settings) -> Fraction:
    return Fraction(settings["update_step_num_gradient_steps_per_sample"]).limit_denominator(10**6)


def _gradient_steps_per_sample(meaning: Meaning) -> float:
    return float(1 / meaning.env_steps_per_gradient_step)


def _dqn_meaning(settings: Settings) -> Meaning:
    return Meaning(1.0, Fraction(max(1, int(settings["target_update_freq"]))), 1, _gradient_steps(settings))


def _dqn_settings(meaning: Meaning) -> SettingsOrReason:
    if meaning.update.tau < 1:
        return only_hard_copies(meaning)
    return {
        "target_update_freq": meaning.update.period,
        "update_step_num_gradient_steps_per_sample": _gradient_steps_per_sample(meaning),
    }


def _sac_meaning(settings: Settings) -> Meaning:
    return Meaning(check_tau("tau", settings["tau"]), Fraction(1), 1, _gradient_steps(settings))


def _sac_settings(meaning: Meaning) -> SettingsOrReason:
    per_sample = _gradient_steps_per_sample(meaning)
    return update_every_step(meaning, lambda tau: {"tau": tau, "update_step_num_gradient_steps_per_sample": per_sample})


DQN = Library(
    title="Tianshou, DQN",
    version="2.0.1",
    source="algorithm/modelfree/dqn.py:277-285, 381-385, trainer.py:1062-1070",
    settings={"target_update_freq": Setting(0, minimum=0), "update_step_num_gradient_steps_per_sample": pace(1.0)},
    weighs="",
    clock="gradient steps",
    aliases={"update_per_step": "update_step_num_gradient_steps_per_sample"},
    meaning=_dqn_meaning,
    write=_dqn_settings,
    remarks=(
        "target_update_freq=0, the default, means no target network",
        "TD targets are computed before the copy: one gradient step older, so the mean lag is one step longer",
    ),
    older=True,
)

SAC = Library(
    title="Tianshou, DDPG and SAC",
    version="2.0.1",
    source="algorithm/modelfree/sac.py:328, utils/lagged_network.py:17-18",
    settings={"tau": weight(0.005), "update_step_num_gradient_steps_per_sample": pace(1.0)},
    weighs="tau: new",
    clock="gradient steps",
    aliases={"update_per_step": "update_step_num_gradient_steps_per_sample"},
    meaning=_sac_meaning,
    write=_sac_settings,
)
