"""AgileRL: DQN."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, update_every_step, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _meaning(settings: Settings) -> Meaning:
    learn_step, num_envs = int(settings["learn_step"]), int(settings["num_envs"])
    pace = Fraction(1, learn_step // num_envs) if learn_step > num_envs else Fraction(num_envs // learn_step)
    return Meaning(check_tau("tau", settings["tau"]), Fraction(1), num_envs, pace)


def _settings(meaning: Meaning) -> SettingsOrReason:
    steps, num_envs = meaning.env_steps_per_gradient_step, meaning.num_envs
    if steps.denominator > 1 or (steps % num_envs and num_envs % steps):
        return "it needs an integer ratio between gradient steps and steps of the environments"
    return update_every_step(meaning, lambda tau: {"tau": tau, "learn_step": int(steps), "num_envs": num_envs})


DQN = Library(
    title="AgileRL, DQN",
    version="549d85e4",
    source="AgileRL/AgileRL:agilerl/algorithms/dqn.py:111-113, 425-433, agilerl/training/train_off_policy.py:423-442",
    settings={"tau": weight(1e-3), "learn_step": Setting(5), "num_envs": Setting(1)},
    weighs="tau: new",
    clock="gradient steps",
    meaning=_meaning,
    write=_settings,
    remarks=("learn_step is divided by num_envs, or num_envs by it, and rounded down",),
)
