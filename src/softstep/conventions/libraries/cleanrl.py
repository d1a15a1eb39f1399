"""CleanRL: the scripts of DQN, SAC, TD3 and DDPG."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from softstep.conventions.libraries.shared import NEEDS_ONE_ENV, check_tau, integer_or_none, tau_and_env_steps, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _in_rounds(round_length: str) -> tuple[Callable[[Settings], Meaning], Callable[[Meaning], SettingsOrReason]]:
    """Return how a script that makes one gradient step per round of environment steps is read and written.

    Its setting `round_length` counts the steps of a round.
    """

    def meaning_of(settings: Settings) -> Meaning:
        interval, steps = int(settings["target_network_frequency"]), int(settings[round_length])
        return Meaning.of_rounds(check_tau("tau", settings["tau"]), interval, steps, 1)

    def settings_of(meaning: Meaning) -> SettingsOrReason:
        tau, env_steps = tau_and_env_steps(meaning)
        interval, steps = integer_or_none(env_steps), integer_or_none(meaning.env_steps_per_gradient_step)
        if interval is None or steps is None:
            return NEEDS_ONE_ENV
        return {"tau": tau, "target_network_frequency": interval, round_length: steps}

    return meaning_of, settings_of


def _every_step(period: str) -> tuple[Callable[[Settings], Meaning], Callable[[Meaning], SettingsOrReason]]:
    """Return how a script that makes one gradient step per step of all environments is read and written.

    Its setting `period` counts these steps: its `global_step` grows by 1 per step of all environments together.
    """

    def meaning_of(settings: Settings) -> Meaning:
        tau, num_envs = check_tau("tau", settings["tau"]), int(settings["num_envs"])
        return Meaning(tau, Fraction(int(settings[period])), num_envs)

    def settings_of(meaning: Meaning) -> SettingsOrReason:
        if meaning.gradient_steps != 1:
            return "it makes one gradient step per step of the environments"
        return {"tau": meaning.update.tau, period: meaning.update.period, "num_envs": meaning.num_envs}

    return meaning_of, settings_of


def _ddpg_meaning(settings: Settings) -> Meaning:
    return _read_td3({**settings, "num_envs": 1})


def _ddpg_settings(meaning: Meaning) -> SettingsOrReason:
    if meaning.env_steps_per_gradient_step != 1:
        return "it makes one gradient step per step of its one environment"
    return {"tau": meaning.update.tau, "policy_frequency": meaning.update.period}


_read_dqn, _write_dqn = _in_rounds("train_frequency")
_read_sac_atari, _write_sac_atari = _in_rounds("update_frequency")
_read_sac, _write_sac = _every_step("target_network_frequency")
_read_td3, _write_td3 = _every_step("policy_frequency")

DQN = Library(
    title="CleanRL, dqn.py and dqn_jax.py",
    version="fe8d8a03",
    source="cleanrl/dqn.py:194-219, cleanrl/dqn_jax.py:237-240",
    settings={"tau": weight(1.0), "target_network_frequency": Setting(500), "train_frequency": Setting(10)},
    weighs="tau: new",
    clock="environment steps (one environment)",
    meaning=_read_dqn,
    write=_write_dqn,
    remarks=(
        "up to v1.0.0 the target moved only at common multiples of both frequencies (#322, #323)",
        "the scripts of SAC, TD3 and DDPG make one gradient step per step: --from cleanrl-sac, cleanrl-td3, …",
    ),
)

SAC = Library(
    title="CleanRL, sac_continuous_action.py",
    version="fe8d8a03",
    source="cleanrl/sac_continuous_action.py:255, 300-304",
    settings={"tau": weight(0.005), "target_network_frequency": Setting(1), "num_envs": Setting(1)},
    weighs="tau: new",
    clock="gradient steps: one per step of all environments",
    meaning=_read_sac,
    write=_write_sac,
    without_effect=("policy_frequency",),
    remarks=(
        "policy_frequency = n delays the actor, not the target: at every n-th step the actor makes n gradient steps",
    ),
)

SAC_ATARI = Library(
    title="CleanRL, sac_atari.py",
    version="fe8d8a03",
    source="cleanrl/sac_atari.py:271-272, 323-327",
    settings={"tau": weight(1.0), "target_network_frequency": Setting(8000), "update_frequency": Setting(4)},
    weighs="tau: new",
    clock="environment steps (one environment)",
    meaning=_read_sac_atari,
    write=_write_sac_atari,
)

TD3 = Library(
    title="CleanRL, td3_continuous_action.py",
    version="fe8d8a03",
    source="cleanrl/td3_continuous_action.py:51, 229, 255-267, cleanrl/td3_continuous_action_jax.py:243-254, 309-315",
    settings={"tau": weight(0.005), "policy_frequency": Setting(2), "num_envs": Setting(1)},
    weighs="tau: new",
    clock="gradient steps: one per step of all environments",
    meaning=_read_td3,
    write=_write_td3,
    remarks=(
        "the targets move with the delayed actor: policy_frequency changes both",
        "td3_continuous_action_jax.py does the same with one environment",
    ),
)

DDPG = Library(
    title="CleanRL, ddpg_continuous_action.py",
    version="fe8d8a03",
    source="cleanrl/ddpg_continuous_action.py:148, 204, 219-229, cleanrl/ddpg_continuous_action_jax.py:211-218, 270",
    settings={"tau": weight(0.005), "policy_frequency": Setting(2)},
    weighs="tau: new",
    clock="gradient steps: one per step of its one environment",
    meaning=_ddpg_meaning,
    write=_ddpg_settings,
    remarks=("the targets move with the delayed actor, as in its TD3: policy_frequency = 1 is DDPG as published",),
)
