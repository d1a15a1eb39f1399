"""Rounds of stable-baselines3, counted by its own loop: which gradient steps its target updates fall between."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import groupby
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3 import DDPG, DQN, SAC, TD3
from stable_baselines3.common.vec_env import DummyVecEnv

from softstep import conventions
from softstep.conventions import Meaning
from softstep.conventions.libraries.shared import integer_or_none

UPDATE, STEP = "target update", "gradient step"
GRID = [1, 2, 3, 4, 6, 8]


class Corridor(gymnasium.Env[np.ndarray, Any]):
    """A random observation at every step, episodes of 7 steps."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))

    def __init__(self, action_space: gymnasium.Space[Any]) -> None:
        self.action_space = action_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.age = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.age += 1
        return self.observation_space.sample(), 0.0, self.age == 7, False, {}


def tape(algorithm: Any, arguments: dict[str, Any], num_rounds: int) -> list[str]:
    """Run `num_rounds` rounds of a library's loop and return its target updates and gradient steps, in order."""
    torch.set_num_threads(1)
    arguments = dict(arguments)
    num_envs = arguments.pop("n_envs")
    discrete = algorithm is DQN
    actions = gymnasium.spaces.Discrete(2) if discrete else gymnasium.spaces.Box(-1, 1, (1,))
    environments = DummyVecEnv([lambda: Corridor(actions)] * num_envs)
    events: list[str] = []
    module = __import__("stable_baselines3.dqn.dqn" if discrete else _module(algorithm), fromlist=["polyak_update"])
    with pytest.MonkeyPatch.context() as patch:
        model = algorithm(
            "MlpPolicy", environments, learning_starts=0, batch_size=1, buffer_size=100, device="cpu",
            policy_kwargs={"net_arch": [1]}, **arguments,
        )  # fmt: skip
        network = model.q_net_target if discrete else model.critic_target
        first = next(network.parameters())

        def record(params: Any, target_params: Any, tau: float) -> None:
            if any(p is first for p in target_params):
                events.append(UPDATE)

        patch.setattr(module, "polyak_update", record)
        optimizer = model.policy.optimizer if discrete else model.critic.optimizer
        optimizer.step = lambda *_, **__: events.append(STEP)
        model.learn(num_rounds * arguments["train_freq"] * num_envs)
    return events


def _module(algorithm: Any) -> str:
    return "stable_baselines3.sac.sac" if algorithm is SAC else "stable_baselines3.td3.td3"


def lags(events: list[str], tau: float) -> list[float]:
    """Return the mean age of the parameters in T at each gradient step, in gradient steps."""
    version, gradient_steps, result = 0.0, 0, []
    for event in events:
        if event == UPDATE:
            version += tau * (gradient_steps - version)
        else:
            result.append(gradient_steps - version)
            gradient_steps += 1
    return result


def assert_agrees_with_the_tape(events: list[str], tau: float, meaning: Meaning) -> None:
    """Assert that moves (updates in a row are one) and their total decay are those of the meaning."""
    events = events[events.index(STEP) :]
    gradient_steps = events.count(STEP)
    moves = sum(event == UPDATE for event, _ in groupby(events))
    assert abs(moves - gradient_steps / meaning.period) <= 1, (moves, gradient_steps, meaning)
    if tau < 1:
        decay = events.count(UPDATE) * math.log1p(-tau)
        per_move = math.log1p(-meaning.tau)
        assert abs(decay - gradient_steps / float(meaning.period) * per_move) <= 1.01 * abs(per_move)


@settings(max_examples=40, deadline=None)
@given(
    interval=st.sampled_from([0, 1, 2, 3, 4, 6, 8, 12, 20]),
    train_freq=st.sampled_from(GRID),
    gradient_steps=st.sampled_from([-1, *GRID]),
    n_envs=st.sampled_from([1, 2, 3]),
    tau=st.sampled_from([1.0, 0.1]),
)
def test_the_dqn_moves_as_its_meaning_says_for_any_rounds(
    interval: int, train_freq: int, gradient_steps: int, n_envs: int, tau: float
) -> None:
    given_settings = {
        "target_update_interval": interval, "train_freq": train_freq, "gradient_steps": gradient_steps,
        "n_envs": n_envs, "tau": tau,
    }  # fmt: skip
    events = tape(DQN, given_settings, 24)
    meaning = conventions.read("sb3", given_settings)
    assert meaning.gradient_steps == Fraction(events.count(STEP), 24 * train_freq)
    assert_agrees_with_the_tape(events, tau, meaning)


@settings(max_examples=12, deadline=None)
@given(
    interval=st.sampled_from(GRID), train_freq=st.sampled_from([1, 2, 3]), gradient_steps=st.sampled_from([-1, *GRID]),
    n_envs=st.sampled_from([1, 2]),
)  # fmt: skip
def test_the_sac_moves_as_its_meaning_says_for_any_rounds(
    interval: int, train_freq: int, gradient_steps: int, n_envs: int
) -> None:
    given_settings = {
        "target_update_interval": interval, "train_freq": train_freq, "gradient_steps": gradient_steps,
        "n_envs": n_envs, "tau": 0.1,
    }  # fmt: skip
    events = tape(SAC, given_settings, 8)
    assert_agrees_with_the_tape(events, 0.1, conventions.read("sb3-sac", given_settings))


@pytest.mark.parametrize(
    ("name", "algorithm", "delay"), [("sb3-td3", TD3, {"policy_delay": 3}), ("sb3-ddpg", DDPG, {})]
)
@pytest.mark.parametrize("gradient_steps", [-1, 2])
def test_the_td3_counts_gradient_steps_across_rounds(
    name: str, algorithm: Any, delay: dict[str, int], gradient_steps: int
) -> None:
    given_settings = {"train_freq": 2, "gradient_steps": gradient_steps, "n_envs": 2, "tau": 0.1, **delay}
    events = tape(algorithm, given_settings, 8)
    assert_agrees_with_the_tape(events, 0.1, conventions.read(name, given_settings))


@pytest.mark.parametrize(
    ("interval", "train_freq", "gradient_steps", "tau", "expected"),
    [(10, 256, 128, 1.0, 63.5), (1, 256, -1, 1.0, 127.5), (8, 16, 8, 1.0, 3.5), (1, 16, -1, 1.0, 7.5),
     (32, 8, 4, 1.0, 7.5), (1, 8, 4, 0.1, None), (16, 8, 4, 0.5, None)],
)  # fmt: skip
def test_the_mean_lag_of_rounds_is_the_counted_one(
    interval: int, train_freq: int, gradient_steps: int, tau: float, expected: float | None
) -> None:
    """Two of the settings are the zoo's own: CartPole 10/256/128 and Lunar Lander 1/256/−1."""
    given_settings = {
        "target_update_interval": interval, "train_freq": train_freq, "gradient_steps": gradient_steps, "tau": tau,
        "n_envs": 1,
    }  # fmt: skip
    meaning = conventions.read("sb3", given_settings)
    if train_freq < 100:
        counted = lags(tape(DQN, given_settings, 40), tau)
        period = integer_or_none(meaning.period)
        assert period is not None
        assert float(np.mean(counted[-2 * period :])) == pytest.approx(meaning.mean_lag, rel=1e-3)
    if expected is not None:
        assert meaning.mean_lag == expected
        assert meaning.update.kind == "hard"


def test_many_soft_updates_in_one_round_are_one_update() -> None:
    meaning = conventions.read(
        "sb3", {"tau": 0.005, "target_update_interval": 1, "train_freq": 256, "gradient_steps": 128}
    )
    assert meaning.period == 128
    assert meaning.tau == pytest.approx(1 - 0.995**256)
