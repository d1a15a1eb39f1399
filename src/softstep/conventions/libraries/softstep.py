"""softstep itself."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning
from softstep.errors import ConfigError

HARMONIC = 1
"""The number that stands for the word `harmonic` among the settings."""


def _config_meaning(settings: Settings) -> Meaning:
    if settings["target.schedule"] == HARMONIC:
        raise ConfigError(
            "target.schedule = harmonic: no other library has a tau that falls with the gradient steps. Set its tau by"
            " hand before every update, to min(tau0, factor/((1 - gamma)*t)), t = gradient steps so far; or convert one"
            " moment, with target.tau"
        )
    num_envs, train_every = int(settings["num_envs"]), int(settings["train_every"])
    gradient_steps = Fraction(
        int(settings["gradient_steps"]) * max(1, num_envs // train_every) * num_envs,
        max(1, train_every // num_envs) * num_envs,
    )
    period = Fraction(int(settings["target.period"]))
    return Meaning(check_tau("target.tau", settings["target.tau"]), period, num_envs, gradient_steps)


def _config_settings(meaning: Meaning) -> SettingsOrReason:
    gradient_steps = meaning.gradient_steps
    return {
        "target.tau": meaning.update.tau,
        "target.period": meaning.update.period,
        "num_envs": meaning.num_envs,
        "train_every": meaning.num_envs * gradient_steps.denominator,
        "gradient_steps": gradient_steps.numerator,
    }


CONFIG = Library(
    title="softstep",
    version="this version",
    source="src/softstep/learner/q_learning.py, src/softstep/learner/actor_critic.py",
    settings={
        "target.tau": weight(0.005),
        "target.period": Setting(1),
        "target.schedule": Setting(0, minimum=0, maximum=1, words={"constant": 0, "harmonic": HARMONIC}),
        "num_envs": Setting(1),
        "train_every": Setting(4),
        "gradient_steps": Setting(1),
    },
    weighs="target.tau: new",
    clock="gradient steps",
    meaning=_config_meaning,
    write=_config_settings,
    remarks=("policy_delay delays the actor, not the targets; actor_tau is τ of the actor's target",),
)
