"""n-step returns: they never cross the end of an episode or the border between environments."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from softstep.training.replay import DeviceReplay, HostReplay, Window, sample, write
from softstep.training.replay_rows import RowLayout

O = 2  # noqa: E741


class Experience(NamedTuple):
    """What happened in E environments, step by step; observations number the step and the environment."""

    rewards: np.ndarray  # (T, E)
    terminated: np.ndarray
    truncated: np.ndarray

    def observation(self, step: int, env: int, *, final: bool = False) -> list[float]:
        return [100 * env + step, -1.0 if final else 1.0]


def random_experience(steps: int, num_envs: int, seed: int) -> Experience:
    rng = np.random.default_rng(seed)
    ends = rng.random((steps, num_envs)) < 0.25
    terminal = rng.random((steps, num_envs)) < 0.5
    return Experience(rng.standard_normal((steps, num_envs)), ends & terminal, ends & ~terminal)


def rows_of(experience: Experience, layout: RowLayout) -> np.ndarray:
    """Return the rows as the drivers write them, environment by environment within a step: (T·E, width)."""
    steps, num_envs = experience.rewards.shape
    rows = np.zeros((steps, num_envs, layout.width), np.float32)
    observation, action, reward, discount, next_observation = layout.columns(rows)
    for t, e in np.ndindex(steps, num_envs):
        observation[t, e], action[t, e] = experience.observation(t, e), t % 3
        next_observation[t, e] = experience.observation(t + 1, e, final=True)
    reward[...], discount[...] = experience.rewards, ~experience.terminated
    if layout.n_step > 1:
        layout.ended(rows)[...] = experience.terminated | experience.truncated
    return rows.reshape(-1, layout.width)


def by_hand(experience: Experience, step: int, env: int, n: int, gamma: float) -> tuple[float, float, list[float]]:
    """Return reward, discount (as γᵐ⁻¹·d) and next observation of the transition from (step, env), with plain loops."""
    total, m = 0.0, 0
    while m < n:
        total += gamma**m * experience.rewards[step + m, env]
        m += 1
        if experience.terminated[step + m - 1, env] or experience.truncated[step + m - 1, env]:
            break
    discount = 0.0 if experience.terminated[step + m - 1, env] else gamma ** (m - 1)
    return total, discount, experience.observation(step + m, env, final=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.integers(1, 4), st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_transitions_equal_those_made_by_hand(n: int, num_envs: int, seed: int, gamma: float) -> None:
    steps, layout = 3 * n, RowLayout(O, n_step=n)
    experience = random_experience(steps, num_envs, seed)
    rows = rows_of(experience, layout)
    starts = [(t, e) for t in range(steps - n + 1) for e in range(num_envs)]
    stacked = np.stack([rows[[(t + k) * num_envs + e for k in range(n)]] for t, e in starts])
    batch = layout.unpack(jnp.asarray(stacked), gamma)
    for i, (t, e) in enumerate(starts):
        reward, discount, next_observation = by_hand(experience, t, e, n, gamma)
        np.testing.assert_allclose(batch.reward[i], reward, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(batch.discount[i], discount, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(batch.next_observation[i], next_observation)
        np.testing.assert_array_equal(batch.observation[i], experience.observation(t, e))
        assert batch.action[i] == t % 3


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 30), st.integers(0, 1000))
def test_both_rings_draw_the_same_complete_runs_of_rows_of_one_environment(
    n: int, num_envs: int, steps: int, seed: int
) -> None:
    capacity, steps = 6 * num_envs, max(steps, n)
    window, width = Window(capacity, n, num_envs), 2
    rows = np.array([[t, e] for t in range(steps) for e in range(num_envs)], np.float32)
    host = HostReplay(1, window, num_envs, width)
    device = DeviceReplay(jnp.zeros((1, capacity + num_envs, width)), jnp.int32(0))
    for start in range(0, len(rows), num_envs):
        host.claim(num_envs)[...] = rows[None, start : start + num_envs]
        device = write(device, jnp.asarray(rows[None, start : start + num_envs]))
    bits = np.random.default_rng(seed).integers(0, 2**32, (2, 1, 64), dtype=np.uint32)
    drawn = host.sample(bits)
    np.testing.assert_array_equal(drawn, sample(device, jnp.asarray(bits), device.written, window))
    runs = drawn.reshape(-1, n, width)
    assert (runs[:, :, 1] == runs[:, :1, 1]).all()  # one environment
    np.testing.assert_array_equal(runs[:, :, 0], runs[:, :1, 0] + np.arange(n))  # successive steps
    assert runs[:, :, 0].min() >= max(0, steps - 6)  # remembered


def test_one_step_returns_are_the_rows_themselves() -> None:
    layout = RowLayout(O)
    experience = random_experience(6, 2, 0)
    rows = rows_of(experience, layout)
    batch = layout.unpack(rows, 0.9)
    np.testing.assert_array_equal(batch.reward, experience.rewards.ravel().astype(np.float32))
    np.testing.assert_array_equal(batch.discount, ~experience.terminated.ravel())
    assert layout.width + 1 == RowLayout(O, n_step=2).width
