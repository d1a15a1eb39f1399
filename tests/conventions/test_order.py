"""Where the soft update stands in the loop: which (Q, T) every gradient step sees, in two small networks of numbers."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from stable_baselines3 import DQN
from test_rounds import STEP, UPDATE, lags, tape

from softstep import conventions
from softstep.target import TargetUpdate, blend

Order = Literal["step, then blend", "blend, then step", "y, then blend, then step"]
ALPHA, STEPS = 0.3, 40
Q_0 = np.array([1.0, -2.0, 0.5])


def pull(q: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a step of Q towards values y; it is not linear, so that no order is equal by accident."""
    return y - q + 0.1 * np.sin(3 * q)


def values(target: np.ndarray) -> np.ndarray:
    """Return the values y that a target network of these parameters supplies."""
    return 0.9 * np.roll(target, 1) + 1


def seen(order: Order, update: TargetUpdate, t_0: np.ndarray = Q_0) -> tuple[np.ndarray, np.ndarray]:
    """Return the Q and the T that each of `STEPS` gradient steps sees; T as its y was computed with it."""
    q, t, saw_q, saw_t = Q_0, t_0, [], []
    for iteration in range(1, STEPS + 1):
        due = iteration % update.period == 0
        if order == "blend, then step" and due:
            t = blend(t, q, update.tau, where=np.where)
        y = values(t)
        saw_q.append(q)
        saw_t.append(t)
        if order == "y, then blend, then step" and due:
            t = blend(t, q, update.tau, where=np.where)
        q = q + ALPHA * pull(q, y)
        if order == "step, then blend" and due:
            t = blend(t, q, update.tau, where=np.where)
    return np.stack(saw_q), np.stack(saw_t)


def test_a_soft_update_before_the_step_shows_every_step_the_same_networks() -> None:
    after, before = (seen(order, TargetUpdate(0.1)) for order in ("step, then blend", "blend, then step"))
    np.testing.assert_array_equal(before, after)


def test_from_unequal_starts_the_update_before_the_step_is_one_blend_ahead() -> None:
    t_0, update = Q_0 + 1, TargetUpdate(0.1)
    before = seen("blend, then step", update, t_0)
    np.testing.assert_array_equal(before, seen("step, then blend", update, blend(t_0, Q_0, update.tau, where=np.where)))
    assert not np.array_equal(before, seen("step, then blend", update, t_0))


def test_values_computed_before_the_blend_are_one_step_older() -> None:
    update = TargetUpdate(0.1)
    saw_q, saw_t = seen("y, then blend, then step", update)
    follower = [Q_0]
    for q in saw_q:
        follower.append(blend(follower[-1], q, update.tau, where=np.where))
    np.testing.assert_array_equal(saw_t, follower[:-1])  # the newest Q in T is that of the step before
    assert not np.array_equal(saw_q, seen("step, then blend", update)[0])


@pytest.mark.parametrize(
    ("order", "age"), [("step, then blend", 0), ("blend, then step", 0), ("y, then blend, then step", 1)]
)
@pytest.mark.parametrize("period", [2, 5, 8])
def test_a_hard_copy_is_used_at_once_unless_the_values_come_first(order: Order, age: int, period: int) -> None:
    saw_q, saw_t = seen(order, TargetUpdate.hard(period))
    first_uses = [k for k in range(1, STEPS) if not np.array_equal(saw_t[k], saw_t[k - 1])]
    assert len(first_uses) >= STEPS // period - 2
    for k in first_uses:
        np.testing.assert_array_equal(saw_t[k], saw_q[k - age])


def test_older_are_only_the_libraries_that_compute_the_values_first() -> None:
    assert [name for name, library in conventions.LIBRARIES.items() if library.older] == ["tianshou"]


@pytest.mark.parametrize("train_freq", [1, 4])
def test_the_dqn_of_stable_baselines3_blends_before_its_steps_and_is_not_older(train_freq: int) -> None:
    arguments = {"target_update_interval": train_freq, "train_freq": train_freq, "gradient_steps": 1, "n_envs": 1}
    events = tape(DQN, {**arguments, "tau": 1.0}, 12)
    assert events[:2] == [UPDATE, STEP]
    assert lags(events, 1.0) == [0.0] * 12  # every step sees a copy of the newest network
