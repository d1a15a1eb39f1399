"""stable-baselines3: DQN, SAC and TD3."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, real, tau_and_env_steps, update_every_step
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning

_LOOP = {"train_freq": Setting(4), "gradient_steps": Setting(1), "n_envs": Setting(1)}
_CONTINUOUS_LOOP = _LOOP | {"train_freq": Setting(1)}


def _dqn_meaning(settings: Settings) -> Meaning:
    num_envs = max(1, int(settings["n_envs"]))
    vector_steps = max(int(settings["target_update_interval"]) // num_envs, 1)
    gradient_steps = _gradient_steps(settings)
    return Meaning(check_tau("tau", settings["tau"]), vector_steps * gradient_steps, num_envs, gradient_steps)


def _gradient_steps(settings: Settings) -> Fraction:
    """Return gradient steps per vector step; the setting −1 makes as many as there were environment steps."""
    if settings["gradient_steps"] < 0:
        return Fraction(int(settings["n_envs"]))
    return Fraction(int(settings["gradient_steps"]), max(1, int(settings["train_freq"])))


def _loop_settings(meaning: Meaning) -> dict[str, float]:
    gradient_steps = meaning.gradient_steps
    return {
        "train_freq": gradient_steps.denominator,
        "gradient_steps": gradient_steps.numerator,
        "n_envs": meaning.num_envs,
    }


def _dqn_settings(meaning: Meaning) -> SettingsOrReason:
    tau, interval = tau_and_env_steps(meaning)
    return {"tau": tau, "target_update_interval": max(1, round(interval)), **_loop_settings(meaning)}


def _sac_meaning(settings: Settings) -> Meaning:
    steps, interval = max(1, int(settings["gradient_steps"])), max(1, int(settings["target_update_interval"]))
    period = Fraction(steps, -(-steps // interval))
    return Meaning(check_tau("tau", settings["tau"]), period, int(settings["n_envs"]), _gradient_steps(settings))


def _sac_settings(meaning: Meaning) -> SettingsOrReason:
    return update_every_step(meaning, lambda tau: {"tau": tau, "target_update_interval": 1, **_loop_settings(meaning)})


def _td3_meaning(settings: Settings) -> Meaning:
    period = Fraction(int(settings["policy_delay"]))
    return Meaning(check_tau("tau", settings["tau"]), period, int(settings["n_envs"]), _gradient_steps(settings))


def _td3_settings(meaning: Meaning) -> SettingsOrReason:
    return {"tau": meaning.update.tau, "policy_delay": meaning.update.period, **_loop_settings(meaning)}


DQN = Library(
    title="stable-baselines3, DQN",
    version="2.9.2",
    source="dqn/dqn.py:174-185, common/off_policy_algorithm.py:360-366",
    settings={"tau": real(1.0), "target_update_interval": Setting(10_000), **_LOOP},
    weighs="tau: new",
    clock="environment steps, divided by n_envs and rounded down",
    meaning=_dqn_meaning,
    write=_dqn_settings,
    remarks=(
        "the target moves before the gradient steps that are due at the same moment",
        "it also moves before learning starts, which changes nothing: both networks are still equal",
        "with gradient_steps=-1 it makes as many gradient steps as there were environment steps",
    ),
    older=True,
)

SAC = Library(
    title="stable-baselines3, SAC",
    version="2.9.2",
    source="sac/sac.py:219, 292-298",
    settings={"tau": real(0.005), "target_update_interval": Setting(1), **_CONTINUOUS_LOOP},
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
    settings={"tau": real(0.005), "policy_delay": Setting(2), **_CONTINUOUS_LOOP},
    weighs="tau: new",
    clock="gradient steps of the critic",
    meaning=_td3_meaning,
    write=_td3_settings,
    remarks=("the targets move with the delayed actor: policy_delay changes both",),
)
