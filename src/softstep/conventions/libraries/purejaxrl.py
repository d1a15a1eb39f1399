"""PureJaxRL: the script dqn.py."""

from __future__ import annotations

import math

from softstep.conventions.libraries.shared import check_tau, integer_or_none, tau_and_env_steps, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _dqn_meaning(settings: Settings) -> Meaning:
    num_envs = int(settings["NUM_ENVS"])
    target_interval, training_interval = (
        math.lcm(num_envs, int(settings[key])) for key in ("TARGET_UPDATE_INTERVAL", "TRAINING_INTERVAL")
    )
    tau = check_tau("TAU", settings["TAU"])
    return Meaning.of_rounds(tau, target_interval, training_interval, 1, num_envs=num_envs, unit=num_envs)


def _dqn_settings(meaning: Meaning) -> SettingsOrReason:
    tau, env_steps = tau_and_env_steps(meaning)
    target_interval, training_interval = (
        integer_or_none(env_steps),
        integer_or_none(meaning.env_steps_per_gradient_step),
    )
    if training_interval is None or training_interval % meaning.num_envs or target_interval is None:
        return "it makes at most one gradient step per step of the environments"
    return {
        "TAU": tau,
        "TARGET_UPDATE_INTERVAL": target_interval,
        "TRAINING_INTERVAL": training_interval,
        "NUM_ENVS": meaning.num_envs,
    }


DQN = Library(
    title="PureJaxRL, dqn.py",
    version="31756b19",
    source="purejaxrl/dqn.py:149-151, 188-217",
    settings={
        "TAU": weight(1.0),
        "TARGET_UPDATE_INTERVAL": Setting(500),
        "TRAINING_INTERVAL": Setting(10),
        "NUM_ENVS": Setting(10),
    },
    weighs="TAU: new",
    clock="environment steps, but only multiples of NUM_ENVS",
    meaning=_dqn_meaning,
    write=_dqn_settings,
    remarks=("it also moves before learning starts, which changes nothing: both networks are still equal",),
)
