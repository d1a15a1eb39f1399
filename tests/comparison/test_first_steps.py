"""The founding question's first steps on recorded transitions, against NumPy and against what theory says of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from softstep import envs, presets
from softstep.comparison import first_steps, random_minibatches
from softstep.comparison.first_steps import FirstSteps, replay
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.learner.networks import make_network
from softstep.target import TargetUpdate
from softstep.transition import Transition, columns

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
    """What is exactly true, in float64."""
    for row in steps.rows:
        first = row.update == 1
        assert row.w_x < 1e-8, "one network blended with itself is X"
        assert row.v_q < 1e-12, "the third equation is Q"
        assert row.t_x < 1e-8 if first else row.t_x > 1e-3, "T is X once"
        assert row.v_small_t < 1e-8 if first else row.v_small_t > 1e-3, "Q's path at (1−c)·α is T once"
    for optimizer in first_steps.OPTIMIZERS:
        assert steps.second_update_formula[optimizer] < 1e-8
        unit = steps.shrinks[optimizer]
        assert unit.alpha_prime == pytest.approx(1 - steps.c, rel=1e-9)
        assert unit.w_x < 1e-8


def test_t_is_the_smaller_rate_once_and_the_blended_network_always(steps: FirstSteps) -> None:
    assert [(row.optimizer, row.update) for row in steps.rows] == [(o, u) for o in ("sgd", "adam") for u in UPDATES]
    check_the_answer(steps)


def test_a_linear_network_agrees(linear: FirstSteps) -> None:
    check_the_answer(linear)


def test_float32_shows_the_same_as_far_as_its_last_places_go(steps: FirstSteps) -> None:
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


# ---- the double: NumPy, float64, a linear network's gradient by hand ----


class Double:
    """SGD on Q(s, a) = θ_a·(s, 1), every sequence written out from its equation."""

    def __init__(self, config: Config, start: np.ndarray, batches: Transition) -> None:
        self.alpha, self.tau, self.gamma = config.learning_rate, config.target.tau, config.gamma
        self.start, self.batches = start, [Transition(*(leaf[n] for leaf in batches)) for n in range(len(batches[0]))]

    def step(self, q: np.ndarray, t: np.ndarray, n: int) -> np.ndarray:
        """−∂/∂q of the mean squared error on minibatch n."""
        batch, total = self.batches[n], np.zeros_like(q)
        for o, a, r, d, after in zip(*batch, strict=True):
            features, following = np.append(o, 1.0).astype(np.float64), np.append(after, 1.0).astype(np.float64)
            error = float(r) + self.gamma * float(d) * max(t @ following) - q[a] @ features
            total[a] += 2 * error * features / len(batch.action)
        return total

    def run(self, updates: int) -> dict[str, list[np.ndarray]]:
        """Q, T, X, W, V after 0, 1, …, `updates` updates."""
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
def double() -> Double:
    spec = envs.describe(LINEAR)
    weight, bias = make_network(LINEAR, spec.observation_size, spec.num_actions).init(jax.random.key(5))
    start = np.column_stack([np.asarray(weight, np.float64), np.asarray(bias, np.float64)])
    return Double(LINEAR, start, random_minibatches.record(LINEAR, spec, 10, seed=5))


def test_sgd_follows_the_paths_written_out_in_numpy(linear: FirstSteps, double: Double) -> None:
    path, norm = double.run(10), np.linalg.norm
    for row in linear.rows[:4]:
        q, t, x, w, v = (path[name][row.update] for name in "qtxwv")
        moved, small = norm(x - double.start), double.start + LINEAR.target.tau * (q - double.start)
        assert row.optimizer == "sgd"
        assert row.t_x == pytest.approx(norm(t - x) / moved, rel=1e-8, abs=1e-12)
        assert row.v_small_t == pytest.approx(norm(small - t) / moved, rel=1e-8, abs=1e-12)
        assert row.w_x == pytest.approx(norm(w - x) / moved, abs=1e-12)
        assert row.v_q == pytest.approx(norm(v - q), abs=1e-12)


def test_the_second_difference_is_the_formula(double: Double) -> None:
    path, alpha, tau, c = double.run(2), double.alpha, double.tau, 1 - double.tau
    start, q, t = double.start, path["q"][1], path["t"][1]
    bracket = c * double.step(start, start, 0) + double.step(q, t, 1) - double.step(t, t, 1)
    np.testing.assert_allclose(path["t"][2] - path["x"][2], alpha * tau * bracket, rtol=1e-10)


# ---- recording ----


@pytest.mark.parametrize("env", ["CartPole-v1", "gymnax:CartPole-v1"])
def test_the_transitions_are_the_environments_own(env: str) -> None:
    config = replace(CONFIG, env=env, reward_scale=0.5)
    spec = envs.describe(config)
    rows = random_minibatches.collect(config, spec, seed=3)
    observation, action, reward, discount, arrived = columns(rows, spec.observation_size)
    assert len(rows) == random_minibatches.RECORDED
    assert set(action) == {0, 1}
    assert abs(action.mean() - 0.5) < 0.05
    assert (reward == 0.5).all()
    fallen = (np.abs(arrived[:, 0]) > 2.4) | (np.abs(arrived[:, 2]) > 12 * math.pi / 180)
    np.testing.assert_array_equal(discount == 0, fallen)
    assert fallen.sum() > 50
    follows = (observation[1:] == arrived[:-1]).all(1)
    np.testing.assert_array_equal(follows, ~fallen[:-1])


def test_the_minibatches_are_the_seeds_and_the_first_are_the_same_however_many() -> None:
    spec = envs.describe(CONFIG)
    few, many, other = (random_minibatches.record(CONFIG, spec, n, seed) for n, seed in ((2, 0), (5, 0), (2, 1)))
    assert few.observation.shape == (2, CONFIG.batch_size, spec.observation_size)
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b[:2])
    assert not np.array_equal(few.observation, other.observation)


# ---- the edges ----


@pytest.mark.filterwarnings("error")
def test_a_network_that_diverges_has_no_distance_and_the_rows_are_json() -> None:
    diverged = replay(replace(CONFIG, learning_rate=1e6), updates=UPDATES).to_dicts()[len(UPDATES) - 1]
    assert (diverged["optimizer"], diverged["update"], diverged["t_x"]) == ("sgd", 100, None)
    assert json.loads(json.dumps(diverged, allow_nan=False)) == diverged


@pytest.mark.parametrize(
    ("change", "updates", "error", "words"),
    [
        ({"target": TargetUpdate.hard(10)}, (1,), ConfigError, "below 1"),
        ({}, (), ValueError, "ascending"),
        ({}, (0, 1), ValueError, "at least 1"),
        ({}, (2, 1), ValueError, "ascending"),
        ({}, (1, 1), ValueError, "ascending"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    change: dict[str, Any], updates: tuple[int, ...], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        replay(replace(CONFIG, **change), updates=updates)


@pytest.mark.heavy
def test_the_labs_lander_shows_the_same() -> None:
    lab = replay(presets.get("lab"))
    assert [row.update for row in lab.rows] == 2 * [1, 2, 3, 10, 100, 1000]
    check_the_answer(lab)
