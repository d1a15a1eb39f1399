"""The practice lab of the course."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import NEEDS_ONE_ENV, check_tau, integer_or_none, update_every_step, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _lab_meaning(settings: Settings) -> Meaning:
    gradient_steps = Fraction(1, int(settings["NUM_STEPS_FOR_UPDATE"]))
    return Meaning(check_tau("TAU", settings["TAU"]), Fraction(1), 1, gradient_steps)


def _lab_settings(meaning: Meaning) -> SettingsOrReason:
    steps = integer_or_none(meaning.env_steps_per_gradient_step)
    if steps is None:
        return NEEDS_ONE_ENV
    return update_every_step(meaning, lambda tau: {"TAU": tau, "NUM_STEPS_FOR_UPDATE": steps})


LAB = Library(
    title="the course lab",
    version="its public copies",
    source="utils.py, update_target_network",
    settings={"TAU": weight(1e-3), "NUM_STEPS_FOR_UPDATE": Setting(4)},
    weighs="TAU: new",
    clock="gradient steps",
    meaning=_lab_meaning,
    write=_lab_settings,
)
