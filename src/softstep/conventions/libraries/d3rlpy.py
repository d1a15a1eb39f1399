"""d3rlpy: DQN and SAC."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, only_hard_copies, update_every_step, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning

_LOOP = {"update_interval": Setting(1), "n_updates": Setting(1)}


def _pace(settings: Settings) -> Fraction:
    return Fraction(int(settings["n_updates"]), int(settings["update_interval"]))


def _loop_settings(meaning: Meaning) -> dict[str, float]:
    gradient_steps = 1 / meaning.env_steps_per_gradient_step
    return {"update_interval": gradient_steps.denominator, "n_updates": gradient_steps.numerator}


def _dqn_meaning(settings: Settings) -> Meaning:
    return Meaning(1.0, Fraction(int(settings["target_update_interval"])), 1, _pace(settings))


def _dqn_settings(meaning: Meaning) -> SettingsOrReason:
    if meaning.update.tau < 1:
        return only_hard_copies(meaning)
    return {"target_update_interval": meaning.update.period, **_loop_settings(meaning)}


def _sac_meaning(settings: Settings) -> Meaning:
    return Meaning(check_tau("tau", settings["tau"]), Fraction(1), 1, _pace(settings))


def _sac_settings(meaning: Meaning) -> SettingsOrReason:
    return update_every_step(meaning, lambda tau: {"tau": tau, **_loop_settings(meaning)})


DQN = Library(
    title="d3rlpy, DQN",
    version="2.8.1",
    source="takuseno/d3rlpy:d3rlpy/algos/qlearning/torch/dqn_impl.py:81-86, base.py:729-742",
    settings={"target_update_interval": Setting(8000), **_LOOP},
    weighs="",
    clock="gradient steps",
    meaning=_dqn_meaning,
    write=_dqn_settings,
    remarks=("update_interval and n_updates are arguments of fit_online",),
)

SAC = Library(
    title="d3rlpy, SAC and DDPG",
    version="2.8.1",
    source="takuseno/d3rlpy:d3rlpy/algos/qlearning/torch/ddpg_impl.py:146, 166-167, base.py:729-742",
    settings={"tau": weight(0.005), **_LOOP},
    weighs="tau: new",
    clock="gradient steps",
    meaning=_sac_meaning,
    write=_sac_settings,
)
