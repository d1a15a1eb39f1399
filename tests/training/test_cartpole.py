"""Training solves CartPole."""

from __future__ import annotations

import numpy as np
import pytest
from support import Tape

from softstep.config import Config
from softstep.settings import Exploration
from softstep.target import TargetUpdate


@pytest.mark.heavy
def test_four_of_four_seeds_reach_475_within_150_000_steps() -> None:
    config = Config(
        env="gymnax:CartPole-v1", seeds=4, total_steps=150_000, train_every=1, learning_rate=1e-3,
        learning_rate_decay=0.05, learning_rate_decay_steps=100_000, target=TargetUpdate(0.005),
        exploration=Exploration(end=0.02, steps=10_000), eval_every=5_000, eval_episodes=20, eval_network="target",
        solve_at=475.0, record_every=50_000, checkpoint_every=10**6,
    )  # fmt: skip
    tape = Tape(config)
    outcome = tape.run()
    assert outcome.solved == (True,) * 4  # each by two evaluations of the same policy, 40 episodes in total
    best = np.array([r.eval_return for r in tape.records]).reshape(-1, 4).max(0)
    assert (best >= 475).all()
    assert outcome.env_steps <= 150_000
