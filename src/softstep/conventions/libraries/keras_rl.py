"""keras-rl: DQN and DDPG."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import NEEDS_ONE_ENV, check_tau, integer_or_none, tau_and_env_steps
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _meaning(settings: Settings) -> Meaning:
    value, train_interval = settings["target_model_update"], int(settings["train_interval"])
    if value >= 1:
        return Meaning.of_rounds(1.0, int(value), train_interval, 1)
    return Meaning(check_tau("target_model_update", value), Fraction(1), 1, Fraction(1, train_interval))


def _settings(meaning: Meaning) -> SettingsOrReason:
    train_interval = integer_or_none(meaning.env_steps_per_gradient_step)
    env_steps = integer_or_none(tau_and_env_steps(meaning)[1])
    if train_interval is None or env_steps is None:
        return NEEDS_ONE_ENV
    value = env_steps if meaning.tau == 1 else meaning.update.at_cadence(1).tau
    return {"target_model_update": value, "train_interval": train_interval}


DQN = Library(
    title="keras-rl, DQNAgent",
    version="216c3145",
    source="keras-rl/keras-rl:rl/agents/dqn.py:21-33, 176-178, 253, 331-332",
    settings={"target_model_update": Setting(10_000, is_integer=False, minimum=0), "train_interval": Setting(1)},
    weighs="target_model_update: new",
    clock="below 1 it is τ after every gradient step, from 1 on a period in environment steps",
    meaning=_meaning,
    write=_settings,
    remarks=("a target_model_update of 1 or more is cut to an integer",),
)
