"""MushroomRL: DQN."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import NEEDS_ONE_ENV, integer_or_none, only_hard_copies
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _meaning(settings: Settings) -> Meaning:
    pace = Fraction(1, int(settings["n_steps_per_fit"]))
    return Meaning(1.0, Fraction(int(settings["target_update_frequency"])), 1, pace)


def _settings(meaning: Meaning) -> SettingsOrReason:
    if meaning.update.tau < 1:
        return only_hard_copies(meaning)
    n_steps_per_fit = integer_or_none(meaning.env_steps_per_gradient_step)
    if n_steps_per_fit is None:
        return NEEDS_ONE_ENV
    return {"target_update_frequency": meaning.update.period, "n_steps_per_fit": n_steps_per_fit}


DQN = Library(
    title="MushroomRL, DQN",
    version="2.0.0-rc1 (5c3834d7)",
    source="MushroomRL/mushroom-rl:mushroom_rl/algorithms/value/dqn/abstract_dqn.py:83-88, core/core.py:42-66",
    settings={"target_update_frequency": Setting(None), "n_steps_per_fit": Setting(1)},
    weighs="",
    clock="calls of fit()",
    meaning=_meaning,
    write=_settings,
    remarks=("its docstring says samples; it counts calls of fit()",),
)
