"""PFRL: DQN and SAC."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, integer_or_none, update_every_step, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning
from softstep.errors import ConfigError

_METHODS = {"hard": 0.0, "soft": 1.0}


def _dqn_meaning(settings: Settings) -> Meaning:
    interval, round_length = int(settings["target_update_interval"]), int(settings["update_interval"])
    if interval % round_length:
        raise ConfigError(
            f"target_update_interval = {interval} must be a multiple of update_interval = {round_length} in PFRL"
        )
    is_soft = settings["target_update_method"] == _METHODS["soft"]
    tau = check_tau("soft_update_tau", settings["soft_update_tau"]) if is_soft else 1.0
    per_step = Fraction(int(settings["n_times_update"]), round_length)
    period = interval * per_step
    if period < 1:
        raise ConfigError(f"n_times_update gives {period} gradient steps per target update: it must be at least 1")
    return Meaning(tau, period, 1, per_step)


def _dqn_settings(meaning: Meaning) -> SettingsOrReason:
    per_step = 1 / meaning.env_steps_per_gradient_step
    if meaning.update.period % per_step.numerator:
        return f"its target moves after whole rounds of {per_step.numerator} gradient steps"
    settings: dict[str, float] = {
        "target_update_interval": int(meaning.update.period / per_step),
        "update_interval": per_step.denominator,
        "n_times_update": per_step.numerator,
    }
    if meaning.update.tau == 1:
        return settings | {"target_update_method": _METHODS["hard"]}
    return settings | {"target_update_method": _METHODS["soft"], "soft_update_tau": meaning.update.tau}


def _sac_meaning(settings: Settings) -> Meaning:
    tau = check_tau("soft_update_tau", settings["soft_update_tau"])
    return Meaning(tau, Fraction(1), 1, Fraction(1, int(settings["update_interval"])))


def _sac_settings(meaning: Meaning) -> SettingsOrReason:
    interval = integer_or_none(meaning.env_steps_per_gradient_step)
    if interval is None:
        return "it makes one gradient step every update_interval environment steps"
    return update_every_step(meaning, lambda tau: {"soft_update_tau": tau, "update_interval": interval})


DQN = Library(
    title="PFRL, DQN",
    version="c8cb3328",
    source="pfnet/pfrl:pfrl/agents/dqn.py:191-197, 253-255, 515-549, replay_buffer.py:329-361",
    settings={
        "target_update_interval": Setting(10_000),
        "update_interval": Setting(1),
        "n_times_update": Setting(1),
        "target_update_method": Setting(0, minimum=0, maximum=1, words=_METHODS),
        "soft_update_tau": weight(1e-2),
    },
    weighs="soft_update_tau: new",
    clock="transitions, of all environments together",
    meaning=_dqn_meaning,
    write=_dqn_settings,
    remarks=(
        "target_update_method is hard by default, and soft_update_tau then has no effect",
        "a soft update averages the buffers too (copy_param.py:9-21)",
    ),
)

SAC = Library(
    title="PFRL, SAC",
    version="c8cb3328",
    source="pfnet/pfrl:pfrl/agents/soft_actor_critic.py:110-112, 310-315, replay_buffer.py:329-361",
    settings={"soft_update_tau": weight(5e-3), "update_interval": Setting(1)},
    weighs="soft_update_tau: new",
    clock="gradient steps",
    meaning=_sac_meaning,
    write=_sac_settings,
)
