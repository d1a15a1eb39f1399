"""rejax: DQN, SAC and TD3."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, integer_or_none, tau_and_env_steps, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning

_POLICY_DELAY = 2


def env_steps_per_iteration(settings: Settings) -> int:
    """Return the environment steps between two moments at which the target can move.

    Source: algos/dqn.py:74-115, algos/sac.py:128-171, algos/td3.py:149-162.
    """
    return int(settings["num_envs"]) * int(settings.get("policy_delay", 1))


def _meaning(settings: Settings) -> Meaning:
    num_envs, num_epochs = int(settings["num_envs"]), Fraction(int(settings["num_epochs"]))
    env_steps = max(int(settings["target_update_freq"]), env_steps_per_iteration(settings))
    return Meaning(check_tau("polyak", 1 - settings["polyak"]), env_steps * num_epochs / num_envs, num_envs, num_epochs)


def _settings(meaning: Meaning) -> SettingsOrReason:
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


def _td3_settings(meaning: Meaning) -> SettingsOrReason:
    settings = _settings(meaning)
    if isinstance(settings, str):
        return settings
    is_whole = settings["target_update_freq"] % (_POLICY_DELAY * meaning.num_envs) == 0
    return settings | {"policy_delay": _POLICY_DELAY if is_whole else 1}


DQN = Library(
    title="rejax, DQN",
    version="0.1.3",
    source="algos/mixins.py:165-177, algos/dqn.py:109-113",
    settings={
        "polyak": weight(0.99),
        "target_update_freq": Setting(1),
        "num_envs": Setting(1),
        "num_epochs": Setting(1),
    },
    weighs="polyak: old",
    clock="environment steps of all environments, at most once per step of all of them",
    meaning=_meaning,
    write=_settings,
    remarks=(
        "the gradient steps of one iteration (num_epochs) share one target update",
        "it also moves before learning starts, which changes nothing: both networks are still equal",
    ),
)

SAC = replace(DQN, title="rejax, SAC", source="algos/mixins.py:165-177, algos/sac.py:128-171")

TD3 = replace(
    DQN,
    title="rejax, TD3",
    source="algos/mixins.py:165-177, algos/td3.py:149-232",
    settings={**DQN.settings, "policy_delay": Setting(_POLICY_DELAY)},
    clock="environment steps of all environments, at most once per policy_delay steps of all of them",
    write=_td3_settings,
    remarks=(
        "the targets move after the delayed actor, which makes num_epochs gradient steps in a row: at most once per"
        " policy_delay steps of the environments",
        *DQN.remarks[1:],
    ),
)
