"""Spinning Up: SAC, DDPG and TD3."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, update_every_step, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning

_BURST = 50
_ONE_PER_STEP = "it makes one gradient step per environment step"


def _sac_meaning(settings: Settings) -> Meaning:
    return Meaning(check_tau("polyak", 1 - settings["polyak"]), Fraction(1))


def _sac_settings(meaning: Meaning) -> SettingsOrReason:
    if meaning.env_steps_per_gradient_step != 1:
        return _ONE_PER_STEP
    return update_every_step(meaning, lambda tau: {"polyak": 1 - tau})


def _td3_meaning(settings: Settings) -> Meaning:
    burst, delay = int(settings["update_every"]), int(settings["policy_delay"])
    return Meaning(check_tau("polyak", 1 - settings["polyak"]), Fraction(burst, -(-burst // delay)))


def _td3_settings(meaning: Meaning) -> SettingsOrReason:
    if meaning.env_steps_per_gradient_step != 1:
        return _ONE_PER_STEP
    delay = meaning.update.period
    burst = max(1, _BURST // delay) * delay
    return {"polyak": 1 - meaning.update.tau, "policy_delay": delay, "update_every": burst}


SAC = Library(
    title="Spinning Up, SAC and DDPG",
    version="038665d6",
    source="openai/spinningup:spinup/algos/pytorch/sac/sac.py:47, 258-264, 319-322",
    settings={"polyak": weight(0.995)},
    weighs="polyak: old",
    clock="gradient steps",
    meaning=_sac_meaning,
    write=_sac_settings,
    without_effect=("update_every",),
    remarks=("it makes update_every gradient steps in a row after as many environment steps: one per step",),
)

TD3 = Library(
    title="Spinning Up, TD3",
    version="038665d6",
    source="openai/spinningup:spinup/algos/pytorch/td3/td3.py:47-49, 238, 258-264, 320-323",
    settings={"polyak": weight(0.995), "policy_delay": Setting(2), "update_every": Setting(_BURST)},
    weighs="polyak: old",
    clock="gradient steps of a burst, counted from 0",
    meaning=_td3_meaning,
    write=_td3_settings,
)
