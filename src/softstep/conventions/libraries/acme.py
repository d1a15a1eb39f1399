"""Acme: the JAX DQN."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import only_hard_copies, pace
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning

_BATCH_SIZE = 256


def _meaning(settings: Settings) -> Meaning:
    samples_per_insert = Fraction(settings["samples_per_insert"]).limit_denominator(10**6)
    return Meaning(
        1.0, Fraction(int(settings["target_update_period"])), 1, samples_per_insert / int(settings["batch_size"])
    )


def _settings(meaning: Meaning) -> SettingsOrReason:
    if meaning.update.tau < 1:
        return only_hard_copies(meaning)
    return {
        "target_update_period": meaning.update.period,
        "samples_per_insert": float(_BATCH_SIZE / meaning.env_steps_per_gradient_step),
        "batch_size": _BATCH_SIZE,
    }


DQN = Library(
    title="Acme, JAX DQN",
    version="770bc75e",
    source="google-deepmind/acme:acme/agents/jax/dqn/config.py:65-79, builder.py:113-121, learning_lib.py:119-122",
    settings={
        "target_update_period": Setting(100),
        "samples_per_insert": pace(0.5),
        "batch_size": Setting(_BATCH_SIZE),
    },
    weighs="",
    clock="gradient steps",
    meaning=_meaning,
    write=_settings,
    remarks=("batch_size / samples_per_insert environment steps per gradient step, on average",),
)
