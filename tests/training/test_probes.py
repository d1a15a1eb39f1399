"""Probe environments with Q in closed form, learned through the training loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import probes  # noqa: F401 (registers them)
import pytest
from support import Tape, small

from softstep.learner.networks import make_network, numpy_q_values
from softstep.settings import Exploration
from softstep.target import TargetUpdate
from softstep.training.evaluation import evaluated_parameters

GAMMA = 0.5
SOFT = TargetUpdate(0.1)


def learned_q_values(env: str, observations: Any, target: TargetUpdate = SOFT, **changes: Any) -> np.ndarray:
    """Train on the probe and return Q (N, A) at the observations."""
    config = small(
        env=env, total_steps=2_000, train_every=4, gradient_steps=4, learning_starts=100, memory_size=600, gamma=GAMMA,
        learning_rate=1e-2, learning_rate_decay=0.01, learning_rate_decay_steps=2_000,
        batch_size=32, target=target, exploration=Exploration(start=1, end=1), record_every=10**6,
        checkpoint_every=10**6, **changes,
    )  # fmt: skip
    tape = Tape(config)
    tape.run()
    network = make_network(config, tape.spec.observation_size, tape.spec.num_actions)
    params = evaluated_parameters(config, network, tape.snapshots[-1].arrays)
    flat = np.concatenate([leaf.reshape(1, -1) for leaf in params], axis=1)
    sizes = (tape.spec.observation_size, *config.hidden, tape.spec.num_actions)
    return numpy_q_values(sizes)(flat)(np.array([observations], np.float32))[0]


@pytest.mark.parametrize("double_q", [False, True])
def test_a_constant_reward_is_learned(double_q: bool) -> None:
    np.testing.assert_allclose(learned_q_values("ConstantProbe-v0", [[1]], double_q=double_q), 1, atol=0.01)


def test_an_action_is_credited_with_its_own_reward() -> None:
    np.testing.assert_allclose(learned_q_values("ChoiceProbe-v0", [[1]]), [[0, 1]], atol=0.02)


def test_a_reward_that_depends_on_the_observation_is_learned() -> None:
    np.testing.assert_allclose(learned_q_values("SignProbe-v0", [[-1], [1]]), [[-1, -1], [1, 1]], atol=0.02)


@pytest.mark.parametrize("target", [SOFT, TargetUpdate.hard(20), TargetUpdate.none()])
def test_the_value_of_the_earlier_step_is_discounted(target: TargetUpdate) -> None:
    values = learned_q_values("TwoStepProbe-v0", [[0], [1]], target=target)
    np.testing.assert_allclose(values, [[GAMMA, GAMMA], [1, 1]], atol=0.03)


def test_a_time_limit_bootstraps() -> None:
    np.testing.assert_allclose(learned_q_values("EndlessProbe-v0", [[1]]), 1 / (1 - GAMMA), atol=0.02)


def test_values_count_down_to_a_terminal_time_limit() -> None:
    remaining = [[sum(GAMMA**k for k in range(left))] * 2 for left in (3, 2, 1)]
    values = learned_q_values("ClockProbe-v0", np.eye(4)[:3], time_limit_is_terminal=True)
    np.testing.assert_allclose(values, remaining, atol=0.03)


def test_q_values_are_in_units_of_the_scaled_reward() -> None:
    np.testing.assert_allclose(learned_q_values("ConstantProbe-v0", [[1]], reward_scale=0.1), 0.1, atol=0.01)
