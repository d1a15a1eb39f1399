"""Dopamine."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import by_env_steps, copies_only, whole
from softstep.conventions.library import Library, Setting, Settings, Written
from softstep.conventions.meaning import Meaning


def _dopamine(s: Settings) -> Meaning:
    pace = Fraction(1, max(1, int(s["update_period"])))
    return Meaning(1.0, max(1, int(s["target_update_period"])) * pace, 1, pace)


def _to_dopamine(m: Meaning) -> Written:
    every, period = whole(m.env_steps_per_gradient_step), whole(by_env_steps(m)[1])
    if m.tau < 1:
        return copies_only(m)
    if every is None or period is None:
        return "one gradient step per whole number of environment steps, one environment"
    return {"target_update_period": period, "update_period": every}


DQN = Library(
    "Dopamine, JAX DQN", "5873f549", "dopamine/jax/agents/dqn/dqn_agent.py:437-439, 564-603",
    {"target_update_period": Setting(8000), "update_period": Setting(4)},
    "", "agent steps", _dopamine, _to_dopamine,
)  # fmt: skip
