"""What agents learn from is what `gymnasium.make` gives, stepped by hand with the same seeds and actions."""

from __future__ import annotations

from typing import Any

import counting
import gymnasium
import numpy as np
import pytest
from support import advance, make_driver, remembered, small

from softstep import envs
from softstep.comparison import random_minibatches
from softstep.config import Config
from softstep.envs import episode_seed
from softstep.training.replay_rows import RowLayout


@counting.named("StartsAtOne", limit=5)
class StartsAtOne(counting.Counting):
    """Has its own time limit, and both flags at once; takes its actions for what `Discrete.sample()` returns."""

    actions = gymnasium.spaces.Discrete(2, start=1)

    def pay(self, action: Any) -> Any:
        assert action.item() in (1, 2)
        assert isinstance(action, np.integer)
        return float(action)

    def step(self, action: Any) -> Any:
        observation, reward, _, _, info = super().step(action)
        return observation, reward, self.t == 4 and action == 1, self.t == 4, info


@counting.named("StartsBelow")
class StartsBelow(counting.Counting):
    actions = gymnasium.spaces.Discrete(3, start=-1, dtype=np.int8)

    def pay(self, action: Any) -> Any:
        assert action.dtype == np.int8
        return action


TRAINED: dict[str, dict[str, Any]] = {
    "two seeds, two environments": {"env": "CartPole-v1", "seeds": 2, "num_envs": 2},
    "a scaled reward and a limit that is terminal": {
        "env": "MountainCar-v0", "reward_scale": 0.5, "time_limit_is_terminal": True,
    },
    "the faster lander": {"env": "LunarLander-v3", "num_envs": 2},
}  # fmt: skip

RECORDED: dict[str, dict[str, Any]] = {
    "a limit that bootstraps": {"env": "Acrobot-v1", "num_envs": 2, "env_args": {"max_episode_steps": 40}},
    "the lander with other arguments": {"env": "LunarLander-v3", "env_args": {"gravity": -4.0, "enable_wind": True}},
    "a Discrete observation": {"env": "FrozenLake-v1", "flatten": True, "env_args": {"map_name": "8x8"}},
    "a Tuple observation": {"env": "Blackjack-v1", "flatten": True, "num_envs": 2},
    "actions 1 and 2": {"env": "StartsAtOne-v0", "num_envs": 2},
    "actions -1, 0 and 1": {"env": "StartsBelow-v0"},
}


def by_hand(config: Config, seed: int, index: int, actions: np.ndarray) -> list[np.ndarray]:
    """Return columns (observation, reward, discount, next observation) of an environment stepped by hand."""
    env = gymnasium.make(config.env, **config.env_args)
    if config.flatten:
        env = gymnasium.wrappers.FlattenObservation(env)
    space, rows, episode = env.action_space, [], 0
    observation, _ = env.reset(seed=episode_seed(seed, index, episode))
    for action in actions:
        following, reward, terminated, truncated, _ = env.step(space.start + space.dtype.type(action))
        discount = not (terminated or (truncated and config.time_limit_is_terminal))
        scaled = np.float32(reward) * np.float32(config.reward_scale)
        rows.append((np.ravel(observation), scaled, discount, np.ravel(following)))
        observation = following
        if terminated or truncated:
            episode += 1
            observation, _ = env.reset(seed=episode_seed(seed, index, episode))
    env.close()
    return [np.array(column, np.float32) for column in zip(*rows, strict=True)]


def check_rows(config: Config, seed: int, rows: np.ndarray) -> None:
    """Assert that an agent's replay rows, from its first step on, are Gymnasium's."""
    ended = 0
    for index in range(config.num_envs):
        row = RowLayout((rows.shape[1] - 3) // 2).unpack(rows[index :: config.num_envs], 1.0)
        ours = row.observation, row.reward, row.discount, row.next_observation
        for column, expected in zip(ours, by_hand(config, seed, index, row.action), strict=True):
            np.testing.assert_array_equal(column, expected)
        ended += int((row.next_observation[:-1] != row.observation[1:]).any(1).sum())
    assert ended > 0


@pytest.mark.parametrize("name", TRAINED)
def test_stored_rows_equal_gymnasium_stepped_by_hand(name: str) -> None:
    config = small(memory_size=700, learning_starts=600, **TRAINED[name])
    driver = make_driver(config)
    advance(driver, config, 700 // config.steps_per_iteration)
    for agent, rows in zip(config.agents(), remembered(driver), strict=True):
        check_rows(config, agent.seed, rows)
    driver.close()


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_rows_equal_gymnasium_stepped_by_hand(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_minibatches, "MIN_TRANSITIONS", 700)
    config = small(**RECORDED[name])
    check_rows(config, 3, random_minibatches.record_transitions(config, envs.describe(config), 3))
