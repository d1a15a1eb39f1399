"""The faster Lunar Lander equals Gymnasium's bit for bit."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.box2d import lunar_lander as original

from softstep.envs.gymnasium_maker import OneEnv
from softstep.envs.lunar_lander import LunarLander, fast_equivalent


def gymnasium_lander(**options: Any) -> Any:
    return gymnasium.make("LunarLander-v3", disable_env_checker=True, **options).unwrapped


def assert_same_step(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> None:
    assert ours[0].dtype == theirs[0].dtype
    assert ours[0].tobytes() == theirs[0].tobytes()
    assert (float(ours[1]), *ours[2:]) == (float(theirs[1]), *theirs[2:])


def play(seed: int, skill: float) -> str:
    """Play one episode in both environments; return how it ended.

    `skill` is the probability that an action is the environment's own heuristic, not random.
    """
    ours, theirs, rng = LunarLander(), gymnasium_lander(), np.random.default_rng(seed)
    observation, _ = theirs.reset(seed=seed)
    np.testing.assert_array_equal(ours.reset(seed=seed)[0], observation)
    for _ in range(1_000):
        is_skilled = rng.random() < skill
        action = int(original.heuristic(theirs, observation)) if is_skilled else int(rng.integers(4))
        step = theirs.step(action)
        assert_same_step(ours.step(action), step)
        observation = step[0]
        if step[2]:
            return "landed" if step[1] > 0 else "crashed"
    return "neither"


def test_every_step_of_whole_episodes_equals_gymnasium() -> None:
    ends = [play(seed, skill) for seed in range(12) for skill in (0.0, 0.9, 1.0)]
    assert ends.count("landed") > 5
    assert ends.count("crashed") > 5


def test_a_reset_without_a_seed_continues_the_same_random_numbers() -> None:
    ours, theirs = LunarLander(), gymnasium_lander()
    for seed in (3, None, None):
        np.testing.assert_array_equal(ours.reset(seed=seed)[0], theirs.reset(seed=seed)[0])
        for action in (2, 1, 3, 0) * 5:
            assert_same_step(ours.step(action), theirs.step(action))


def test_gravity_is_kept() -> None:
    theirs = gymnasium_lander(gravity=-4.0)
    ours = fast_equivalent(theirs)
    assert type(ours) is LunarLander
    ours.reset(seed=0)
    theirs.reset(seed=0)
    assert_same_step(ours.step(0), theirs.step(0))


def test_training_uses_the_faster_one() -> None:
    assert type(OneEnv("LunarLander-v3", 0, 0)._env) is LunarLander


@pytest.mark.parametrize("options", [{"continuous": True}, {"enable_wind": True}, {"render_mode": "rgb_array"}])
def test_an_environment_with_other_options_is_not_replaced(options: dict[str, Any]) -> None:
    env = gymnasium_lander(**options)
    assert fast_equivalent(env) is env


def test_a_users_subclass_is_not_replaced() -> None:
    class Own(original.LunarLander):
        pass

    env = Own()
    assert fast_equivalent(env) is env
