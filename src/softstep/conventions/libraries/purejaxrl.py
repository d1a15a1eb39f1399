"""PureJaxRL."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import by_env_steps, lcm, share, weight, whole
from softstep.conventions.library import Library, Setting, Settings, Written
from softstep.conventions.meaning import Meaning


def _purejaxrl(s: Settings) -> Meaning:
    envs = max(1, int(s["NUM_ENVS"]))
    target, train = (lcm(envs, max(1, s[key])) for key in ("TARGET_UPDATE_INTERVAL", "TRAINING_INTERVAL"))
    return Meaning(weight("TAU", s["TAU"]), Fraction(target, train), envs, Fraction(envs, train))


def _to_purejaxrl(m: Meaning) -> Written:
    tau, steps = by_env_steps(m)
    every, interval = whole(m.env_steps_per_gradient_step), whole(steps)
    if every is None or every % m.num_envs or interval is None:
        return "at most one gradient step at every step of the environments"
    return {
        "TAU": tau, "TARGET_UPDATE_INTERVAL": interval, "TRAINING_INTERVAL": every, "NUM_ENVS": m.num_envs,
    }  # fmt: skip


DQN = Library(
    "PureJaxRL, dqn.py", "31756b19", "purejaxrl/dqn.py:149-151, 188-217",
    {"TAU": share(1.0), "TARGET_UPDATE_INTERVAL": Setting(500), "TRAINING_INTERVAL": Setting(10),
     "NUM_ENVS": Setting(10)},
    "TAU: new", "environment steps, where NUM_ENVS divides them", _purejaxrl, _to_purejaxrl,
    ("it also moves before learning starts, which changes nothing: both networks are still equal",),
)  # fmt: skip
