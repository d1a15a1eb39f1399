"""softstep itself."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import COUNT, share, weight
from softstep.conventions.library import Library, Setting, Settings, Written
from softstep.conventions.meaning import Meaning


def _softstep(s: Settings) -> Meaning:
    envs, every = max(1, int(s["num_envs"])), max(1, int(s["train_every"]))
    pace = Fraction(int(s["gradient_steps"]) * max(1, envs // every) * envs, max(1, every // envs) * envs)
    return Meaning(weight("target.tau", s["target.tau"]), Fraction(int(s["target.period"])), envs, pace)


def _to_softstep(m: Meaning) -> Written:
    pace = m.gradient_steps
    return {
        "target.tau": m.update.tau, "target.period": m.update.period, "num_envs": m.num_envs,
        "train_every": m.num_envs * pace.denominator, "gradient_steps": pace.numerator,
    }  # fmt: skip


SOFTSTEP = Library(
    "softstep", "this one", "src/softstep/learner.py, update",
    {"target.tau": share(0.005), "target.period": COUNT, "num_envs": COUNT, "train_every": Setting(4),
     "gradient_steps": COUNT},
    "target.tau: new", "gradient steps", _softstep, _to_softstep,
)  # fmt: skip
