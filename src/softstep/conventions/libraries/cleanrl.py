"""CleanRL: the scripts dqn.py and dqn_jax.py."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import NEEDS_ONE_ENV, check_tau, integer_or_none, real, tau_and_env_steps
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _dqn_meaning(settings: Settings) -> Meaning:
    gradient_steps = Fraction(1, max(1, int(settings["train_frequency"])))
    period = max(1, int(settings["target_network_frequency"])) * gradient_steps
    return Meaning(check_tau("tau", settings["tau"]), period, 1, gradient_steps)


def _dqn_settings(meaning: Meaning) -> SettingsOrReason:
    tau, env_steps = tau_and_env_steps(meaning)
    train_frequency, target_frequency = integer_or_none(meaning.env_steps_per_gradient_step), integer_or_none(env_steps)
    if train_frequency is None or target_frequency is None:
        return NEEDS_ONE_ENV
    return {"tau": tau, "target_network_frequency": target_frequency, "train_frequency": train_frequency}


DQN = Library(
    title="CleanRL, dqn.py and dqn_jax.py",
    version="fe8d8a03",
    source="cleanrl/dqn.py:194-219, cleanrl/dqn_jax.py:237-240",
    settings={"tau": real(1.0), "target_network_frequency": Setting(500), "train_frequency": Setting(10)},
    weighs="tau: new",
    clock="environment steps (one environment)",
    meaning=_dqn_meaning,
    write=_dqn_settings,
    remarks=("up to v1.0.0 the target moved only at common multiples of both frequencies (#322, #323)",),
)
