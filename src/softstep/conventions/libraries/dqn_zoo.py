"""DQN Zoo, whose periods count Atari frames."""

from __future__ import annotations

from softstep.conventions.libraries.shared import NEEDS_ONE_ENV, integer_or_none, only_hard_copies, tau_and_env_steps
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _meaning(settings: Settings) -> Meaning:
    period, learn_period = int(settings["target_network_update_period"]), int(settings["learn_period"])
    return Meaning.of_rounds(1.0, period, learn_period, 1, unit=int(settings["num_action_repeats"]))


def _settings(meaning: Meaning) -> SettingsOrReason:
    if meaning.tau < 1:
        return only_hard_copies(meaning)
    learn_steps, target_steps = meaning.env_steps_per_gradient_step, tau_and_env_steps(meaning)[1]
    repeats = 4
    learn_period, period = integer_or_none(learn_steps * repeats), integer_or_none(target_steps * repeats)
    if learn_period is None or period is None:
        return NEEDS_ONE_ENV
    return {
        "target_network_update_period": period,
        "learn_period": learn_period,
        "num_action_repeats": repeats,
    }


DQN = Library(
    title="DQN Zoo, DQN",
    version="45061f4b",
    source="google-deepmind/dqn_zoo:dqn_zoo/dqn/run_atari.py:48, 62, 76-77, 92, dqn_zoo/dqn/agent.py:135, 152-156",
    settings={
        "target_network_update_period": Setting(40_000),
        "learn_period": Setting(16),
        "num_action_repeats": Setting(4),
    },
    weighs="",
    clock="frames: num_action_repeats per agent step",
    meaning=_meaning,
    write=_settings,
    remarks=("an environment step is here one of the agent, of num_action_repeats frames",),
)
