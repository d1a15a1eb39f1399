"""The faster Lunar Lander equals Gymnasium's bit for bit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.box2d import lunar_lander as original
from gymnasium.wrappers import TimeLimit

from softstep import envs
from softstep.envs import lunar_lander
from softstep.envs.actions import native_actions
from softstep.envs.gymnasium_maker import OneEnv
from softstep.envs.lunar_lander import fast_equivalent, faster_lander


def gymnasium_lander(**options: Any) -> Any:
    return gymnasium.make("LunarLander-v3", disable_env_checker=True, **options).unwrapped


def assert_same_step(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> None:
    assert ours[0].dtype == theirs[0].dtype
    assert ours[0].tobytes() == theirs[0].tobytes()
    assert (float(ours[1]), *ours[2:]) == (float(theirs[1]), *theirs[2:])


def play(seed: int, policy: Callable[[Any, np.ndarray], Any], *, continuous: bool) -> str:
    """Play one episode in both environments with `policy(Gymnasium's environment, observation)`; return its end."""
    ours, theirs = faster_lander()(continuous=continuous), gymnasium_lander(continuous=continuous)
    observation, _ = theirs.reset(seed=seed)
    np.testing.assert_array_equal(ours.reset(seed=seed)[0], observation)
    for _ in range(1_000):
        action = policy(theirs, observation)
        step = theirs.step(action)
        assert_same_step(ours.step(action), step)
        observation = step[0]
        if step[2]:
            return "landed" if step[1] > 0 else "crashed"
    return "neither"


def skilled(seed: int, skill: float, *, continuous: bool) -> Callable[[Any, np.ndarray], Any]:
    """Return a policy that takes the environment's own heuristic with probability `skill`, else acts at random."""
    rng = np.random.default_rng(seed)

    def policy(env: Any, observation: np.ndarray) -> Any:
        is_skilled = rng.random() < skill
        if continuous:
            action = original.heuristic(env, observation) if is_skilled else rng.uniform(-1.2, 1.2, 2)
            return action.astype(np.float32)
        return int(original.heuristic(env, observation)) if is_skilled else int(rng.integers(4))

    return policy


@pytest.mark.parametrize("continuous", [False, True])
def test_every_step_of_whole_episodes_equals_gymnasium(continuous: bool) -> None:
    ends = [
        play(seed, skilled(seed, skill, continuous=continuous), continuous=continuous)
        for seed in range(12)
        for skill in (0.0, 0.9, 1.0)
    ]
    assert ends.count("landed") > 5
    assert ends.count("crashed") > 5


HALF, JUST_ABOVE = np.float32(0.5), np.nextafter(np.float32(0.5), np.float32(1))
LEVELS = [-2.0, -1.0, -JUST_ABOVE, -HALF, -0.0, 0.0, 1e-30, HALF, JUST_ABOVE, 1.0, 2.0, np.inf, np.nan]


@pytest.mark.parametrize("side", LEVELS)
@pytest.mark.parametrize("main", LEVELS)
def test_constant_throttles_at_and_between_the_thresholds_equal_gymnasium(main: float, side: float) -> None:
    action = np.array((main, side), np.float32)
    assert play(4, lambda *_: action, continuous=True) in ("crashed", "landed", "neither")


FEW = {
    False: (2, 1, 3, 0),
    True: tuple(np.array(pair, np.float32) for pair in ((0.3, 0.0), (-1.0, -0.7), (1.0, 0.9), (-0.2, 0.1))),
}


@pytest.mark.parametrize("continuous", [False, True])
def test_a_reset_without_a_seed_continues_the_same_random_numbers(continuous: bool) -> None:
    ours, theirs = faster_lander()(continuous=continuous), gymnasium_lander(continuous=continuous)
    for seed in (3, None, None):
        np.testing.assert_array_equal(ours.reset(seed=seed)[0], theirs.reset(seed=seed)[0])
        for action in FEW[continuous] * 5:
            assert_same_step(ours.step(action), theirs.step(action))


@pytest.mark.parametrize("continuous", [False, True])
def test_gravity_is_kept(continuous: bool) -> None:
    theirs = gymnasium_lander(gravity=-4.0, continuous=continuous)
    ours = fast_equivalent(theirs)
    assert type(ours) is faster_lander()
    assert ours.action_space == theirs.action_space
    ours.reset(seed=0)
    theirs.reset(seed=0)
    assert_same_step(ours.step(FEW[continuous][0]), theirs.step(FEW[continuous][0]))


def make_one(name: str = "LunarLander-v3", **options: Any) -> OneEnv:
    return OneEnv(envs.EnvSpec(name, "gymnasium", 8, 4, exactly_resumable=True, arguments=options), 0, 0)


def test_training_gives_the_faster_one_the_same_continuous_actions() -> None:
    ours, theirs = make_one(continuous=True), gymnasium.make("LunarLander-v3", continuous=True)
    assert is_fast(ours)
    np.testing.assert_array_equal(ours.start(1), theirs.reset(seed=1)[0])
    for action in np.random.default_rng(0).uniform(-1, 1, (60, 2)).astype(np.float32):
        assert_same_step(ours.step(action), theirs.step(native_actions(theirs)[action])[:4])


def is_fast(env: OneEnv) -> bool:
    return type(env._env) is faster_lander()


def test_training_uses_the_faster_one() -> None:
    assert is_fast(make_one())
    assert is_fast(make_one(gravity=-4.0, wind_power=3.0))
    assert is_fast(make_one(gravity=-4.0, wind_power=3.0, continuous=True))


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("options", [{"enable_wind": True}, {"render_mode": "rgb_array"}])
def test_an_environment_with_other_options_is_not_replaced(options: dict[str, Any], continuous: bool) -> None:
    env = gymnasium_lander(continuous=continuous, **options)
    assert fast_equivalent(env) is env


@pytest.mark.parametrize("continuous", [False, True])
def test_an_environment_whose_actions_were_switched_is_not_replaced(continuous: bool) -> None:
    env = gymnasium_lander(continuous=continuous)
    env.continuous = not continuous
    assert fast_equivalent(env) is env


# ---- whatever has been changed is not replaced ----

CONSTANTS = [name for name, value in vars(original).items() if type(value) in (int, float, list) and name.isupper()]
METHODS = [
    (cls, name)
    for cls in (original.LunarLander, original.ContactDetector)
    for name, value in vars(cls).items()
    if callable(value)
]


def assert_steps_are_gymnasiums(name: str = "LunarLander-v3") -> None:
    """Assert that training steps this lander with Gymnasium's own code, to the same rows."""
    ours, theirs = make_one(name), gymnasium.make(name, disable_env_checker=True)
    assert not is_fast(ours)
    np.testing.assert_array_equal(ours.start(1), theirs.reset(seed=1)[0])
    for action in (2, 1, 3, 0) * 10:
        step = theirs.step(action)
        assert_same_step(ours.step(action), step[:4])
        if step[2]:
            break


def test_there_are_constants_and_methods() -> None:
    assert {"FPS", "MAIN_ENGINE_POWER", "LANDER_POLY", "INITIAL_RANDOM"} <= {*CONSTANTS}
    assert {name for _, name in METHODS} >= {"__init__", "reset", "step", "BeginContact", "EndContact"}


@pytest.mark.parametrize("name", CONSTANTS)
def test_with_any_other_constant_gymnasium_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = getattr(original, name)
    other = value[::-1] if isinstance(value, list) else type(value)(value * 2)
    monkeypatch.setattr(original, name, other)
    assert_steps_are_gymnasiums()


@pytest.mark.parametrize(("cls", "name"), METHODS, ids=str)
def test_with_any_other_method_gymnasium_steps(cls: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = getattr(cls, name)

    def method(self: Any, *arguments: Any, **options: Any) -> Any:
        return before(self, *arguments, **options)

    monkeypatch.setattr(cls, name, method)
    assert_steps_are_gymnasiums()


def test_a_new_method_or_a_helper_in_the_module_is_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(original.LunarLander, "__getattr__", lambda self, name: 0, raising=False)
        assert not is_fast(make_one())
    with monkeypatch.context() as patch:
        patch.setattr(original, "abs", lambda number: 0, raising=False)
        assert not is_fast(make_one())
    with monkeypatch.context() as patch:
        patch.setattr(original.LunarLander.step, "__defaults__", (1,))
        assert not is_fast(make_one())
    assert is_fast(make_one())


class Wrapped(gymnasium.Wrapper[Any, Any, Any, Any]):
    def step(self, action: Any) -> Any:
        observation, reward, *rest = super().step(action)
        return observation, 2 * reward, *rest


class Slower(TimeLimit):
    """A subclass of a wrapper that softstep replaces."""

    def step(self, action: Any) -> Any:
        observation, reward, *rest = super().step(action)
        return observation, reward - 1, *rest


def patched() -> Any:
    env: Any = original.LunarLander()
    step = env.step
    env.step = lambda action: step(3 - action)
    return env


class Own(original.LunarLander):
    pass


LANDERS: dict[str, Any] = {
    "Wrapped": lambda: Wrapped(original.LunarLander()),
    "Slower": lambda: Slower(original.LunarLander(), 30),
    "Patched": patched,
    "Own": Own,
    "AlreadyReset": lambda: (env := original.LunarLander(), env.reset(seed=7))[0],
}


@pytest.mark.parametrize("name", LANDERS)
def test_a_wrapped_or_patched_lander_is_not_replaced(name: str) -> None:
    gymnasium.register(f"{name}Lander-v0", lambda **options: LANDERS[name](), max_episode_steps=1000)
    assert_steps_are_gymnasiums(f"{name}Lander-v0")


def test_a_source_that_is_not_known_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("softstep.envs.lunar_lander.SOURCE_HASH", "another version")
    lunar_lander._shipped.cache_clear()
    try:
        assert_steps_are_gymnasiums()
    finally:
        lunar_lander._shipped.cache_clear()


def test_box2d_is_imported_for_the_lander_only() -> None:
    code = """
import sys
from softstep import envs
from softstep.config import Config
for env in ("CartPole-v1", "gymnax:CartPole-v1"):
    envs.describe(Config(env=env))
host = envs.make_host(envs.describe(Config(env="CartPole-v1")), [0], 1)
host.step(host.observations[..., 0].astype(int))
assert "Box2D" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
