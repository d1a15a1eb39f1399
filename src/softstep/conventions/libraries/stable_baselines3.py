"""stable-baselines3: DQN, SAC, TD3 and DDPG."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, update_every_step, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning
from softstep.errors import ConfigError

_LOOP = {"train_freq": Setting(4), "gradient_steps": Setting(1, minimum=-1), "n_envs": Setting(1)}
_CONTINUOUS_LOOP = _LOOP | {"train_freq": Setting(1)}


def _dqn_meaning(settings: Settings) -> Meaning:
    num_envs, round_length = int(settings["n_envs"]), int(settings["train_freq"])
    interval = max(int(settings["target_update_interval"]) // num_envs, 1)
    tau, gradient_steps = check_tau("tau", settings["tau"]), gradient_steps_per_round(settings)
    return Meaning.of_rounds(tau, interval, round_length, gradient_steps, num_envs=num_envs)


def gradient_steps_per_round(settings: Settings) -> int:
    """Return the gradient steps of one call of train(); the setting −1 makes one per environment step of the round.

    Source: common/off_policy_algorithm.py:355-366, 592. Raises ConfigError if the setting is 0.
    """
    gradient_steps = int(settings["gradient_steps"])
    if gradient_steps == 0:
        raise ConfigError("gradient_steps = 0 never trains: it must be at least 1, or -1 for one per environment step")
    return gradient_steps if gradient_steps > 0 else int(settings["train_freq"]) * int(settings["n_envs"])


def _gradient_steps_per_vector_step(settings: Settings) -> Fraction:
    return Fraction(gradient_steps_per_round(settings), int(settings["train_freq"]))


def _loop_settings(meaning: Meaning) -> dict[str, float]:
    gradient_steps = meaning.gradient_steps
    return {
        "train_freq": gradient_steps.denominator,
        "gradient_steps": gradient_steps.numerator,
        "n_envs": meaning.num_envs,
    }


def _dqn_settings(meaning: Meaning) -> SettingsOrReason:
    tau, vector_steps = meaning.tau, meaning.period / meaning.gradient_steps
    round_length = meaning.gradient_steps.denominator
    if vector_steps.denominator > 1 or vector_steps < round_length:
        # the target can only move between rounds of gradient_steps.numerator gradient steps
        rounds = max(1, round(vector_steps / round_length))
        vector_steps = Fraction(rounds * round_length)
        tau = meaning.update.at_cadence(rounds * meaning.gradient_steps.numerator).tau
    interval = int(vector_steps) * meaning.num_envs
    return {"tau": tau, "target_update_interval": interval, **_loop_settings(meaning)}


def _sac_meaning(settings: Settings) -> Meaning:
    steps, interval = gradient_steps_per_round(settings), int(settings["target_update_interval"])
    period, pace = Fraction(steps, -(-steps // interval)), _gradient_steps_per_vector_step(settings)
    return Meaning(check_tau("tau", settings["tau"]), period, int(settings["n_envs"]), pace)


def _sac_settings(meaning: Meaning) -> SettingsOrReason:
    return update_every_step(meaning, lambda tau: {"tau": tau, "target_update_interval": 1, **_loop_settings(meaning)})


def _td3_meaning(settings: Settings) -> Meaning:
    period, pace = Fraction(int(settings["policy_delay"])), _gradient_steps_per_vector_step(settings)
    return Meaning(check_tau("tau", settings["tau"]), period, int(settings["n_envs"]), pace)


def _ddpg_meaning(settings: Settings) -> Meaning:
    pace = _gradient_steps_per_vector_step(settings)
    return Meaning(check_tau("tau", settings["tau"]), Fraction(1), int(settings["n_envs"]), pace)


def _ddpg_settings(meaning: Meaning) -> SettingsOrReason:
    return update_every_step(meaning, lambda tau: {"tau": tau, **_loop_settings(meaning)})


def _td3_settings(meaning: Meaning) -> SettingsOrReason:
    return {"tau": meaning.update.tau, "policy_delay": meaning.update.period, **_loop_settings(meaning)}


DQN = Library(
    title="stable-baselines3, DQN",
    version="2.9.2",
    source="dqn/dqn.py:174-185, common/off_policy_algorithm.py:335-366",
    settings={"tau": weight(1.0), "target_update_interval": Setting(10_000, minimum=0), **_LOOP},
    weighs="tau: new",
    clock="environment steps, divided by n_envs and rounded down",
    meaning=_dqn_meaning,
    write=_dqn_settings,
    remarks=(
        "the target moves before the gradient steps that are due at the same moment, which use it at once, so"
        " that it is not older",
        "it also moves before learning starts, which changes nothing: both networks are still equal",
        "it moves only while a round of train_freq steps is collected, when the network stands still",
        "with gradient_steps=-1 it makes as many gradient steps as there were environment steps",
    ),
)

SAC = Library(
    title="stable-baselines3, SAC",
    version="2.9.2",
    source="sac/sac.py:219, 292-298",
    settings={"tau": weight(0.005), "target_update_interval": Setting(1), **_CONTINUOUS_LOOP},
    weighs="tau: new",
    clock="the gradient step's number within one call of train()",
    meaning=_sac_meaning,
    write=_sac_settings,
    remarks=("target_update_interval has no effect if gradient_steps is 1: it counts within a call of train()",),
)

TD3 = Library(
    title="stable-baselines3, TD3",
    version="2.9.2",
    source="td3/td3.py:168-169, 200-214",
    settings={"tau": weight(0.005), "policy_delay": Setting(2), **_CONTINUOUS_LOOP},
    weighs="tau: new",
    clock="gradient steps of the critic",
    meaning=_td3_meaning,
    write=_td3_settings,
    remarks=("the targets move with the delayed actor: policy_delay changes both",),
)

DDPG = Library(
    title="stable-baselines3, DDPG",
    version="2.9.2",
    source="ddpg/ddpg.py:101-104, td3/td3.py:200-214",
    settings={"tau": weight(0.005), **_CONTINUOUS_LOOP},
    weighs="tau: new",
    clock="gradient steps",
    meaning=_ddpg_meaning,
    write=_ddpg_settings,
    remarks=("it is TD3 with policy_delay = 1",),
)
