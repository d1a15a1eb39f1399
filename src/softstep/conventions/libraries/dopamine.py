"""Dopamine: the JAX DQN."""

from __future__ import annotations

from softstep.conventions.libraries.shared import NEEDS_ONE_ENV, integer_or_none, only_hard_copies, tau_and_env_steps
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _dqn_meaning(settings: Settings) -> Meaning:
    return Meaning.of_rounds(1.0, int(settings["target_update_period"]), int(settings["update_period"]), 1)


def _dqn_settings(meaning: Meaning) -> SettingsOrReason:
    if meaning.tau < 1:
        return only_hard_copies(meaning)
    update_period = integer_or_none(meaning.env_steps_per_gradient_step)
    target_update_period = integer_or_none(tau_and_env_steps(meaning)[1])
    if update_period is None or target_update_period is None:
        return NEEDS_ONE_ENV
    return {"target_update_period": target_update_period, "update_period": update_period}


DQN = Library(
    title="Dopamine, JAX DQN",
    version="5873f549",
    source="dopamine/jax/agents/dqn/dqn_agent.py:437-439, 564-603",
    settings={"target_update_period": Setting(8000), "update_period": Setting(4)},
    weighs="",
    clock="agent steps",
    meaning=_dqn_meaning,
    write=_dqn_settings,
)
