"""CleanRL."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import by_env_steps, share, weight, whole
from softstep.conventions.library import Library, Setting, Settings, Written
from softstep.conventions.meaning import Meaning


def _cleanrl(s: Settings) -> Meaning:
    pace = Fraction(1, max(1, int(s["train_frequency"])))
    return Meaning(weight("tau", s["tau"]), max(1, int(s["target_network_frequency"])) * pace, 1, pace)


def _to_cleanrl(m: Meaning) -> Written:
    tau, steps = by_env_steps(m)
    every, frequency = whole(m.env_steps_per_gradient_step), whole(steps)
    if every is None or frequency is None:
        return "one gradient step per whole number of environment steps, one environment"
    return {"tau": tau, "target_network_frequency": frequency, "train_frequency": every}


DQN = Library(
    "CleanRL, dqn.py and dqn_jax.py", "fe8d8a03", "cleanrl/dqn.py:194-219, cleanrl/dqn_jax.py:237-240",
    {"tau": share(1.0), "target_network_frequency": Setting(500), "train_frequency": Setting(10)},
    "tau: new", "environment steps (one environment)", _cleanrl, _to_cleanrl,
    ("up to v1.0.0 the target moved at common multiples of both frequencies only (#322, #323)",),
)  # fmt: skip
