"""rejax: DQN."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, integer_or_none, tau_and_env_steps, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _dqn_meaning(settings: Settings) -> Meaning:
    num_envs, num_epochs = int(settings["num_envs"]), Fraction(int(settings["num_epochs"]))
    period = max(int(settings["target_update_freq"]), num_envs) * num_epochs / num_envs
    return Meaning(check_tau("polyak", 1 - settings["polyak"]), period, num_envs, num_epochs)


def _dqn_settings(meaning: Meaning) -> SettingsOrReason:
    num_epochs = integer_or_none(meaning.gradient_steps)
    if num_epochs is None:
        return "it needs an integer number of gradient steps, at least 1, per step of the environments"
    tau, env_steps = tau_and_env_steps(meaning)
    frequency = integer_or_none(env_steps)
    if frequency is None or frequency < meaning.num_envs:
        tau, frequency = meaning.update.at_cadence(num_epochs).tau, meaning.num_envs
    return {
        "polyak": 1 - tau,
        "target_update_freq": frequency,
        "num_envs": meaning.num_envs,
        "num_epochs": num_epochs,
    }


DQN = Library(
    title="rejax, DQN",
    version="0.1.3",
    source="algos/mixins.py:165-177, algos/dqn.py:109-113",
    settings={
        "polyak": weight(0.99),
        "target_update_freq": Setting(1, minimum=0),
        "num_envs": Setting(1),
        "num_epochs": Setting(1),
    },
    weighs="polyak: old",
    clock="environment steps of all environments, at most once per step of all of them",
    meaning=_dqn_meaning,
    write=_dqn_settings,
    remarks=(
        "the gradient steps of one iteration (num_epochs) share one target update",
        "it also moves before learning starts, which changes nothing: both networks are still equal",
    ),
)
