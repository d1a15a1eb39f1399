"""Tests of the first steps of the founding question, against NumPy and against theory."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from softstep import envs, presets
from softstep.comparison import first_steps
from softstep.comparison.first_steps import FirstSteps, replay
from softstep.comparison.random_minibatches import MIN_TRANSITIONS, draw_minibatches, record_transitions
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.learner.networks import make_network
from softstep.target import TargetUpdate
from softstep.training.replay_rows import RowLayout
from softstep.transition import Transition

UPDATES = (1, 2, 3, 10, 100)
CONFIG = Config(env="CartPole-v1", hidden=(16,), batch_size=32, learning_rate=1e-2, target=TargetUpdate(0.1))
LINEAR = replace(CONFIG, hidden=(), learning_rate=0.05, target=TargetUpdate(0.3), gamma=0.9, reward_scale=0.5)


@pytest.fixture(scope="module")
def steps() -> FirstSteps:
    return replay(CONFIG, updates=UPDATES)


@pytest.fixture(scope="module")
def linear() -> FirstSteps:
    return replay(LINEAR, updates=(1, 2, 3, 10), seed=5)


def check_the_answer(steps: FirstSteps) -> None:
    """Assert what is exactly true, in float64."""
    for row in steps.rows:
        first = row.update == 1
        assert row.w_x < 1e-8, "one network blended with itself is X"
        assert row.v_q < 1e-12, "the third equation is Q"
        assert row.t_x < 1e-8 if first else row.t_x > 1e-3, "T is X only once"
        assert row.v_small_t < 1e-8 if first else row.v_small_t > 1e-3, "V at (1−c)·α is T only once"
    for optimizer in first_steps.OPTIMIZERS:
        assert steps.second_update_error[optimizer] < 1e-8
        unit = steps.unit_steps[optimizer]
        assert unit.alpha_prime == pytest.approx(1 - steps.c, rel=1e-9)
        assert unit.w_x < 1e-8


def test_t_is_the_smaller_rate_at_the_first_update_only_and_the_blended_network_always(steps: FirstSteps) -> None:
    assert [(row.optimizer, row.update) for row in steps.rows] == [(o, u) for o in ("sgd", "adam") for u in UPDATES]
    check_the_answer(steps)


def test_a_linear_network_shows_the_same(linear: FirstSteps) -> None:
    check_the_answer(linear)


def test_float32_shows_the_same_up_to_rounding(steps: FirstSteps) -> None:
    for row in steps.rows:
        assert row.w_x32 < 1e-3
        assert row.v_q32 < 1e-5
        assert row.step_ulp32 > 1
        if row.update == 1:
            assert row.t_x32 < 1e-3
            assert row.v_small_t32 < 1e-3
            assert row.t_x_ulp32 <= row.t_x_ulp32_max <= 4
        else:
            assert row.t_x32 == pytest.approx(row.t_x, rel=1e-2)
            assert row.v_small_t32 == pytest.approx(row.v_small_t, rel=1e-2)
            assert 100 < row.t_x_ulp32 < row.t_x_ulp32_max <= 2**25


# ---- reference implementation: NumPy, float64, the gradient of a linear network written out ----


class Reference:
    """SGD on Q(s, a) = θ_a·(s, 1), every sequence written out from its equation."""

    def __init__(self, config: Config, start: np.ndarray, batches: Transition) -> None:
        self.alpha, self.tau, self.gamma = config.learning_rate, config.target.tau, config.gamma
        self.start, self.batches = start, [Transition(*(leaf[n] for leaf in batches)) for n in range(len(batches[0]))]

    def step(self, q: np.ndarray, t: np.ndarray, n: int) -> np.ndarray:
        """Return −∂/∂q of the mean squared error on minibatch n."""
        batch, total = self.batches[n], np.zeros_like(q)
        for s, a, r, discount, s_next in zip(*batch, strict=True):
            features, next_features = (np.append(state, 1.0).astype(np.float64) for state in (s, s_next))
            error = float(r) + self.gamma * float(discount) * max(t @ next_features) - q[a] @ features
            total[a] += 2 * error * features / len(batch.action)
        return total

    def run(self, updates: int) -> dict[str, list[np.ndarray]]:
        """Return Q, T, X, W, V after 0, 1, …, `updates` updates."""
        alpha, tau = self.alpha, self.tau
        q = t = x = w = v = self.start
        paths: dict[str, list[np.ndarray]] = {name: [self.start] for name in "qtxwv"}
        for n in range(updates):
            move = alpha * self.step(q, t, n)
            q, v = q + move, v + move
            t = (1 - tau) * t + tau * q
            x = x + tau * alpha * self.step(x, x, n)
            w = (1 - tau) * w + tau * (w + alpha * self.step(w, w, n))
            for name, value in zip("qtxwv", (q, t, x, w, v), strict=True):
                paths[name].append(value)
        return paths


@pytest.fixture(scope="module")
def reference() -> Reference:
    spec = envs.describe(LINEAR)
    weight, bias = make_network(LINEAR, spec.observation_size, spec.num_actions).init(jax.random.key(5))
    start = np.column_stack([np.asarray(weight, np.float64), np.asarray(bias, np.float64)])
    return Reference(LINEAR, start, draw_minibatches(LINEAR, spec, 10, seed=5).transitions)


def test_sgd_follows_the_paths_written_out_in_numpy(linear: FirstSteps, reference: Reference) -> None:
    path, norm = reference.run(10), np.linalg.norm
    for row in linear.rows[:4]:
        q, t, x, w, v = (path[name][row.update] for name in "qtxwv")
        moved, small = norm(x - reference.start), reference.start + LINEAR.target.tau * (q - reference.start)
        assert row.optimizer == "sgd"
        assert row.t_x == pytest.approx(norm(t - x) / moved, rel=1e-8, abs=1e-12)
        assert row.v_small_t == pytest.approx(norm(small - t) / moved, rel=1e-8, abs=1e-12)
        assert row.w_x == pytest.approx(norm(w - x) / moved, abs=1e-12)
        assert row.v_q == pytest.approx(norm(v - q), abs=1e-12)


def test_the_second_difference_is_the_formula(reference: Reference) -> None:
    path, alpha, tau, c = reference.run(2), reference.alpha, reference.tau, 1 - reference.tau
    start, q, t = reference.start, path["q"][1], path["t"][1]
    bracket = c * reference.step(start, start, 0) + reference.step(q, t, 1) - reference.step(t, t, 1)
    np.testing.assert_allclose(path["t"][2] - path["x"][2], alpha * tau * bracket, rtol=1e-10)


# ---- recording ----


@pytest.mark.parametrize("env", ["CartPole-v1", "gymnax:CartPole-v1"])
def test_recorded_transitions_follow_the_environment(env: str) -> None:
    config = replace(CONFIG, env=env, reward_scale=0.5)
    spec = envs.describe(config)
    rows = record_transitions(config, spec, seed=3)
    observation, action, reward, discount, next_observation = RowLayout(spec.observation_size).columns(rows)
    assert len(rows) == MIN_TRANSITIONS
    assert set(action) == {0, 1}
    assert abs(action.mean() - 0.5) < 0.05
    assert (reward == 0.5).all()
    fallen = (np.abs(next_observation[:, 0]) > 2.4) | (np.abs(next_observation[:, 2]) > 12 * math.pi / 180)
    np.testing.assert_array_equal(discount == 0, fallen)
    assert fallen.sum() > 50
    follows = (observation[1:] == next_observation[:-1]).all(1)
    np.testing.assert_array_equal(follows, ~fallen[:-1])


def test_minibatches_depend_on_the_seed_and_not_on_their_number() -> None:
    spec = envs.describe(CONFIG)
    few, many, other = (draw_minibatches(CONFIG, spec, n, seed).transitions for n, seed in ((2, 0), (5, 0), (2, 1)))
    assert few.observation.shape == (2, CONFIG.batch_size, spec.observation_size)
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b[:2])
    assert not np.array_equal(few.observation, other.observation)


# ---- edge cases ----


@pytest.mark.filterwarnings("error")
def test_a_diverged_network_has_no_distance_and_its_row_is_valid_json() -> None:
    diverged = replay(replace(CONFIG, learning_rate=1e6), updates=UPDATES).to_dicts()[len(UPDATES) - 1]
    assert (diverged["optimizer"], diverged["update"], diverged["t_x"]) == ("sgd", 100, None)
    assert json.loads(json.dumps(diverged, allow_nan=False)) == diverged


@pytest.mark.parametrize(
    ("change", "updates", "error", "message"),
    [
        ({"target": TargetUpdate.hard(10)}, (1,), ConfigError, "below 1"),
        ({}, (), ValueError, "ascending"),
        ({}, (0, 1), ValueError, "at least 1"),
        ({}, (2, 1), ValueError, "ascending"),
        ({}, (1, 1), ValueError, "ascending"),
    ],
)
def test_invalid_settings_are_rejected(
    change: dict[str, Any], updates: tuple[int, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        replay(replace(CONFIG, **change), updates=updates)


@pytest.mark.heavy
def test_the_lab_preset_shows_the_same() -> None:
    lab = replay(presets.get("lab"))
    assert [row.update for row in lab.rows] == 2 * [1, 2, 3, 10, 100, 1000]
    check_the_answer(lab)
