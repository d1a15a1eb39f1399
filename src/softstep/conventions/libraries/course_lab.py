"""The course lab."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import every_step, share, weight, whole
from softstep.conventions.library import Library, Setting, Settings, Written
from softstep.conventions.meaning import Meaning


def _lab(s: Settings) -> Meaning:
    every = Fraction(1, max(1, int(s["NUM_STEPS_FOR_UPDATE"])))
    return Meaning(weight("TAU", s["TAU"]), Fraction(1), 1, every)


def _to_lab(m: Meaning) -> Written:
    every = whole(m.env_steps_per_gradient_step)
    if every is None:
        return "one gradient step per whole number of environment steps, one environment"
    return every_step(m, lambda tau: {"TAU": tau, "NUM_STEPS_FOR_UPDATE": every})


LAB = Library(
    "the course lab", "its public copies", "utils.py, update_target_network",
    {"TAU": share(1e-3), "NUM_STEPS_FOR_UPDATE": Setting(4)}, "TAU: new", "gradient steps", _lab, _to_lab,
)  # fmt: skip
