"""The step body shared by both drivers: exploration, schedules, and the start of learning."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import advance, make_driver, small

from softstep.config import Config
from softstep.settings import Exploration
from softstep.training.driver import replay_capacity
from softstep.training.episode_statistics import add_rewards, close_episodes, initial_statistics
from softstep.training.exploration import epsilon_greedy, exploration_arrays, geometric_decay
from softstep.training.schedules import schedules


@pytest.mark.parametrize("xp", [np, jnp])
def test_an_action_is_random_if_the_draw_is_below_epsilon_else_greedy(xp: object) -> None:
    values = np.array([[[1.0, 3.0, 2.0]] * 4], np.float32)
    uniform, random_action = np.array([[0.0, 0.19, 0.2, 0.9]]), np.array([[0, 2, 0, 2]])
    assert epsilon_greedy(xp, values, uniform < 0.2, random_action).tolist() == [[0, 2, 1, 1]]


def test_linear_epsilon_falls_with_environment_steps_to_its_end_value() -> None:
    config = Config(train_every=8, num_envs=2)
    settings = exploration_arrays(
        [Exploration(start=0.9, end=0.1, steps=80), Exploration(start=0.5, end=0.5, steps=1)], 2
    )
    epsilon = schedules(config, settings, 0, 20).epsilon
    assert epsilon.shape == (20, 4, 2)
    np.testing.assert_allclose(epsilon[0, :, 0], [0.9, 0.88, 0.86, 0.84], rtol=1e-6)
    np.testing.assert_allclose(epsilon[5, 0], 0.5, rtol=1e-6)
    np.testing.assert_allclose(epsilon[10:, :, 0], 0.1, rtol=1e-6)
    np.testing.assert_array_equal(epsilon[..., 1], np.float32(0.5))
    np.testing.assert_array_equal(schedules(config, settings, 7, 5).epsilon, epsilon[7:12])


def test_geometric_epsilon_falls_once_per_finished_episode() -> None:
    exploration = Exploration(schedule="geometric", start=1.0, end=0.3, decay=0.5)
    other = Exploration(schedule="geometric", start=0.8, end=0.1, decay=0.25)
    settings = exploration_arrays([exploration, exploration, other], 2)
    statistics = initial_statistics(settings, 2)
    ended = np.array([[False, False], [True, False], [True, True]])
    config = Config(num_envs=2, train_every=2, exploration=exploration)
    statistics, closed = close_episodes(
        np,
        geometric_decay(config, settings),
        add_rewards(statistics, np.ones((1, 3, 2), np.float32)),
        ended,
    )
    np.testing.assert_array_equal(statistics.epsilon, np.float32([1, 0.5, 0.1]))
    assert statistics.episodes.tolist() == [0, 1, 2]
    assert statistics.returns.tolist() == [[1, 1], [0, 1], [0, 0]]
    assert closed.lengths.tolist() == ended.astype(int).tolist()


def test_adding_many_steps_at_once_equals_adding_them_one_by_one() -> None:
    rng, start = np.random.default_rng(0), initial_statistics(exploration_arrays([Exploration()] * 2, 1), 1)
    rewards, valid = rng.standard_normal((300, 2, 1)).astype(np.float32), rng.random((300, 2, 1)) < 0.5
    returns = start.returns
    for reward in rewards:
        returns = returns + reward
    statistics = add_rewards(add_rewards(start, rewards[:100], valid[:100]), rewards[100:], valid[100:])
    np.testing.assert_array_equal(statistics.returns, returns)
    np.testing.assert_array_equal(statistics.lengths, valid.sum(0))
    assert statistics.lengths.dtype == np.int32
    np.testing.assert_array_equal(add_rewards(start, rewards).lengths, [[300], [300]])


def test_a_driver_follows_the_geometric_schedule() -> None:
    config = small(exploration=Exploration(schedule="geometric", end=0.01, decay=0.9))
    driver = make_driver(config)
    advance(driver, config, 100)
    episodes = int(driver.statistics.episodes[0])
    assert episodes > 3
    np.testing.assert_allclose(driver.statistics.epsilon[0], 0.9**episodes, rtol=1e-5)


def test_the_learning_rate_falls_linearly_to_its_final_factor() -> None:
    config = Config(learning_rate_decay=0.2, learning_rate_decay_steps=40, train_every=4)
    np.testing.assert_allclose(
        schedules(config, exploration_arrays([Exploration()], 1), 0, 13).learning_rate_factor,
        [*np.linspace(1, 0.2, 11), 0.2, 0.2],
        rtol=1e-6,
    )


def test_the_learner_uses_the_decayed_rate() -> None:
    def distance_moved(decay: float) -> float:
        config = small(optimizer="sgd", learning_rate_decay=decay, learning_rate_decay_steps=1)
        driver = make_driver(config)
        before = [np.array(leaf) for leaf in driver.state.learner.online]
        advance(driver, config, config.warmup + 1)
        return sum(np.abs(a - b).sum() for a, b in zip(driver.state.learner.online, before, strict=True))

    assert distance_moved(0.01) == pytest.approx(0.01 * distance_moved(1.0), rel=0.01)


def test_learning_starts_after_the_warmup_and_keeps_its_ratio() -> None:
    config = small(learning_starts=21, train_every=4, gradient_steps=3)
    driver = make_driver(config)
    counts = []
    for _ in range(8):
        advance(driver, config, 1)
        counts.append(int(driver.state.learner.gradient_steps[0]))
    assert counts == [0] * 6 + [3, 6]  # 24 steps are the first whole iterations that reach 21


@pytest.mark.parametrize(("memory", "every", "capacity"), [(100, 1, 100), (103, 4, 100), (3, 4, 4)])
def test_a_ring_holds_whole_iterations(memory: int, every: int, capacity: int) -> None:
    assert replay_capacity(Config(memory_size=memory, train_every=every, batch_size=1)) == capacity


def test_numpy_and_jax_close_episodes_alike() -> None:
    exploration, rng = Exploration(schedule="geometric", decay=0.99), np.random.default_rng(0)
    settings = exploration_arrays([exploration, exploration], 4)
    decay, statistics = (
        geometric_decay(Config(exploration=exploration), settings),
        initial_statistics(settings, 4),
    )
    for _ in range(50):
        rewards, ended = rng.standard_normal((2, 4)).astype(np.float32), rng.random((2, 4)) < 0.3
        statistics = add_rewards(statistics, rewards[None])
        by_numpy = close_episodes(np, decay, statistics, ended)
        by_jax = close_episodes(jnp, *jax.tree.map(jnp.asarray, (decay, statistics, ended)))
        jax.tree.map(np.testing.assert_array_equal, by_numpy, jax.tree.map(np.asarray, by_jax))
        statistics = by_numpy[0]
