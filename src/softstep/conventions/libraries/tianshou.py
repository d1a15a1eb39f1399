"""Tianshou: DQN, and DDPG with SAC."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import copies_only, every_step, share, weight
from softstep.conventions.library import Library, Setting, Settings, Written
from softstep.conventions.meaning import Meaning


def _tianshou(s: Settings) -> Meaning:
    pace = Fraction(s["update_step_num_gradient_steps_per_sample"]).limit_denominator(10**6)
    return Meaning(1.0, Fraction(max(1, int(s["target_update_freq"]))), 1, pace)


def _to_tianshou(m: Meaning) -> Written:
    if m.update.tau < 1:
        return copies_only(m)
    pace = float(1 / m.env_steps_per_gradient_step)
    return {"target_update_freq": m.update.period, "update_step_num_gradient_steps_per_sample": pace}


def _tianshou_sac(s: Settings) -> Meaning:
    pace = Fraction(s["update_step_num_gradient_steps_per_sample"]).limit_denominator(10**6)
    return Meaning(weight("tau", s["tau"]), Fraction(1), 1, pace)


def _to_tianshou_sac(m: Meaning) -> Written:
    pace = float(1 / m.env_steps_per_gradient_step)
    return every_step(m, lambda tau: {"tau": tau, "update_step_num_gradient_steps_per_sample": pace})


DQN = Library(
    "Tianshou, DQN", "2.0.1", "algorithm/modelfree/dqn.py:277-285, 381-385, trainer.py:1062-1070",
    {"target_update_freq": Setting(0), "update_step_num_gradient_steps_per_sample": share(1.0)},
    "", "gradient steps", _tianshou, _to_tianshou,
    ("target_update_freq=0, the default, means no target network",
     "TD targets are computed before the copy: one gradient step older"),
    older=True,
)  # fmt: skip

SAC = Library(
    "Tianshou, DDPG and SAC", "2.0.1", "algorithm/modelfree/sac.py:328, utils/lagged_network.py:17-18",
    {"tau": share(0.005), "update_step_num_gradient_steps_per_sample": share(1.0)},
    "tau: new", "gradient steps", _tianshou_sac, _to_tianshou_sac,
)  # fmt: skip
