"""Rows of n-step returns as the drivers write them, against environments stepped by hand from what a row observed."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from support import advance, make_driver, remembered, small

from softstep.config import Config
from softstep.settings import Arm
from softstep.training.replay_rows import row_layout

STEPS, NUM_ENVS, N, GAMMA = 220, 2, 3, 0.9
LIMITS = {"CartPole-v1": 500, "MountainCar-v0": 200}
"""Random actions end CartPole's episodes in a terminal state, and MountainCar's at the time limit."""


class Stepped(NamedTuple):
    """One step of the reference."""

    reward: float
    next_observation: np.ndarray
    terminated: bool
    ended: bool


def configured(env: str) -> Config:
    """Return a run of two agents with two environments each, which has not yet begun to learn."""
    return small(
        env=f"gymnax:{env}", n_step=N, num_envs=NUM_ENVS, train_every=NUM_ENVS, gamma=GAMMA, reward_scale=0.5,
        memory_size=STEPS * NUM_ENVS, learning_starts=STEPS * NUM_ENVS, total_steps=STEPS * NUM_ENVS + 2,
        arms=(Arm("a"), Arm("b")), block_width=2,
    )  # fmt: skip


def stepped_by_hand(env: str, observations: np.ndarray, actions: np.ndarray) -> list[Stepped]:
    """Step one Gymnasium environment from each observation (T, O) with its action, counting the steps of episodes.

    In both environments the observation is the whole state.
    """
    native: Any = gymnasium.make(env).unwrapped
    native.reset(seed=0)
    steps, length = list[Stepped](), 0
    for observation, action in zip(observations.astype(float), actions.astype(int), strict=True):
        native.state, native.steps_beyond_terminated = tuple(observation), None
        after, reward, terminated, _, _ = native.step(int(action))
        length += 1
        ended = bool(terminated) or length == LIMITS[env]
        steps.append(Stepped(0.5 * float(reward), after, bool(terminated), ended))
        length = 0 if ended else length
    return steps


def transition(steps: list[Stepped], t: int) -> tuple[float, float, np.ndarray]:
    """Return reward, discount γᵐ⁻¹·d and next observation of the transition of at most N steps from `t`, by loops."""
    total = 0.0
    for m in range(N):
        step = steps[t + m]
        total += GAMMA**m * step.reward
        if step.ended or m == N - 1:
            return total, 0.0 if step.terminated else GAMMA**m, step.next_observation
    raise AssertionError


@pytest.fixture(scope="module", params=list(LIMITS))
def written(request: pytest.FixtureRequest) -> tuple[str, dict[str, list[np.ndarray]]]:
    """Return an environment and, by driver, the rows of both agents."""
    config, rows = configured(request.param), dict[str, list[np.ndarray]]()
    for kind in ("default", "host"):
        driver = make_driver(config, kind=kind)
        advance(driver, config, STEPS)
        rows[kind] = remembered(driver)
    return request.param, rows


def test_both_drivers_write_the_same_rows(written: tuple[str, dict[str, list[np.ndarray]]]) -> None:
    _, rows = written
    for compiled, host in zip(rows["default"], rows["host"], strict=True):
        np.testing.assert_array_equal(compiled, host)


@pytest.mark.parametrize("kind", ["default", "host"])
def test_whole_rows_and_their_transitions_equal_those_stepped_by_hand(
    written: tuple[str, dict[str, list[np.ndarray]]], kind: str
) -> None:
    env, by_driver = written
    layout = row_layout(configured(env), 4 if env == "CartPole-v1" else 2, 2)
    for agent in by_driver[kind]:
        assert agent.shape == (STEPS * NUM_ENVS, layout.width)
        for e in range(NUM_ENVS):
            rows = agent[e::NUM_ENVS]  # one environment's, in order of time
            observation, action, reward, discount, next_observation = layout.columns(rows)
            steps = stepped_by_hand(env, observation, action)
            np.testing.assert_array_equal(layout.ended(rows), [step.ended for step in steps])
            np.testing.assert_array_equal(discount, [not step.terminated for step in steps])
            np.testing.assert_array_equal(reward, [step.reward for step in steps])
            np.testing.assert_allclose(next_observation, [step.next_observation for step in steps], atol=1e-5)
            goes_on = ~np.array([step.ended for step in steps])[:-1]
            np.testing.assert_array_equal(observation[1:][goes_on], next_observation[:-1][goes_on])
            assert (observation[1:][~goes_on] != next_observation[:-1][~goes_on]).any(axis=1).all()  # reset
            assert not goes_on.all()
            assert any(step.terminated for step in steps) == (env == "CartPole-v1")
            windows = np.stack([rows[t : t + N] for t in range(STEPS - N + 1)])
            batch = layout.unpack(jnp.asarray(windows), GAMMA)
            sums, discounts, last = zip(*(transition(steps, t) for t in range(len(windows))), strict=True)
            np.testing.assert_allclose(batch.reward, sums, rtol=1e-6)
            np.testing.assert_allclose(batch.discount, discounts, rtol=1e-6)
            np.testing.assert_allclose(batch.next_observation, last, atol=1e-5)
            np.testing.assert_array_equal(batch.observation, observation[: len(windows)])
            np.testing.assert_array_equal(batch.action, action[: len(windows)])
