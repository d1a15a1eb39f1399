"""stable-baselines3: DQN, SAC and TD3."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import COUNT, by_env_steps, every_step, share, weight
from softstep.conventions.library import Library, Setting, Settings, Written
from softstep.conventions.meaning import Meaning

_SB3_LOOP = {"train_freq": Setting(4), "gradient_steps": Setting(1), "n_envs": COUNT}
_SB3_LOOP_1 = _SB3_LOOP | {"train_freq": Setting(1)}


def _sb3(s: Settings) -> Meaning:
    envs = max(1, int(s["n_envs"]))
    vector_steps = max(int(s["target_update_interval"]) // envs, 1)
    pace = _sb3_pace(s)
    return Meaning(weight("tau", s["tau"]), vector_steps * pace, envs, pace)


def _sb3_pace(s: Settings) -> Fraction:
    """Gradient steps per vector step; −1 makes as many as there were environment steps."""
    every = max(1, int(s["train_freq"]))
    return Fraction(int(s["n_envs"])) if s["gradient_steps"] < 0 else Fraction(int(s["gradient_steps"]), every)


def _sb3_loop(m: Meaning) -> dict[str, float]:
    pace = m.gradient_steps
    return {"train_freq": pace.denominator, "gradient_steps": pace.numerator, "n_envs": m.num_envs}


def _to_sb3(m: Meaning) -> Written:
    tau, interval = by_env_steps(m)
    return {"tau": tau, "target_update_interval": max(1, round(interval)), **_sb3_loop(m)}


def _sb3_sac(s: Settings) -> Meaning:
    steps, interval = max(1, int(s["gradient_steps"])), max(1, int(s["target_update_interval"]))
    return Meaning(weight("tau", s["tau"]), Fraction(steps, -(-steps // interval)), int(s["n_envs"]), _sb3_pace(s))


def _to_sb3_sac(m: Meaning) -> Written:
    return every_step(m, lambda tau: {"tau": tau, "target_update_interval": 1, **_sb3_loop(m)})


def _sb3_td3(s: Settings) -> Meaning:
    return Meaning(weight("tau", s["tau"]), Fraction(int(s["policy_delay"])), int(s["n_envs"]), _sb3_pace(s))


def _to_sb3_td3(m: Meaning) -> Written:
    return {"tau": m.update.tau, "policy_delay": m.update.period, **_sb3_loop(m)}


DQN = Library(
    "stable-baselines3, DQN", "2.9.2", "dqn/dqn.py:174-185, common/off_policy_algorithm.py:360-366",
    {"tau": share(1.0), "target_update_interval": Setting(10_000), **_SB3_LOOP},
    "tau: new", "environment steps, divided by n_envs and rounded down", _sb3, _to_sb3,
    ("the target moves before the gradient steps that are due at the same moment",
     "it also moves before learning starts, which changes nothing: both networks are still equal",
     "with gradient_steps=-1 it makes as many gradient steps as there were environment steps"),
    older=True,
)  # fmt: skip

SAC = Library(
    "stable-baselines3, SAC", "2.9.2", "sac/sac.py:219, 292-298",
    {"tau": share(0.005), "target_update_interval": COUNT, **_SB3_LOOP_1},
    "tau: new", "the gradient step's number within one call of train()", _sb3_sac, _to_sb3_sac,
    ("target_update_interval has no effect where gradient_steps is 1: it counts within a call of train()",),
)  # fmt: skip

TD3 = Library(
    "stable-baselines3, TD3", "2.9.2", "td3/td3.py:168-169, 200-214",
    {"tau": share(0.005), "policy_delay": Setting(2), **_SB3_LOOP_1},
    "tau: new", "gradient steps of the critic", _sb3_td3, _to_sb3_td3,
    ("the targets move with the delayed actor: policy_delay changes both",),
)  # fmt: skip
