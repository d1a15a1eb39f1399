"""Shapes: every instance's observation is its own, and what comes in another shape than declared is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from counting import Counting, named
from gymnasium.spaces import Box

from softstep import envs
from softstep.config import Config
from softstep.envs.gymnasium_maker import GymnasiumEvaluation, OneEnv
from softstep.errors import BadValue, ConfigError

BUFFER = np.zeros(3, np.float32)


@named("OneBuffer")
class OneBuffer(Counting):
    """Every instance returns the same array."""

    def look(self) -> Any:
        BUFFER[:] = self.t, self.a, self.start
        return BUFFER


def test_instances_that_share_an_array_have_each_their_own_observations() -> None:
    rng = np.random.default_rng(0)
    shared, own = (envs.describe(Config(env=f"{name}-v0")) for name in ("OneBuffer", "Counting"))
    both = [envs.make_host(spec, [3, 4], 2) for spec in (shared, own)]
    np.testing.assert_array_equal(both[0].observations, both[1].observations)
    for _ in range(20):
        actions = rng.integers(2, size=(2, 2))
        steps = [host.step(actions) for host in both]
        for ours, theirs in zip(*steps, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(both[0].observations, both[1].observations)
        both[0].restore(both[0].snapshot())
        np.testing.assert_array_equal(both[0].observations, both[1].observations)


def test_the_same_in_an_evaluation() -> None:
    shared, own = (
        GymnasiumEvaluation(envs.describe(Config(env=f"{name}-v0")), 2, [5, 6]) for name in ("OneBuffer", "Counting")
    )
    np.testing.assert_array_equal(shared.observations, own.observations)
    for games in (shared, own):
        games.step(np.ones((2, 2), int))
    np.testing.assert_array_equal(shared.observations, own.observations)


def observing(name: str, look: Any, shape: tuple[int, ...] = (3,)) -> None:
    """Register an environment whose observations are `look(environment)`."""
    cls = type(name, (Counting,), {"look": look, "space": Box(-100, 100, shape, np.float32)})
    named(name)(cls)


observing("Wider", lambda self: np.arange(5))
observing("Narrower", lambda self: np.array([self.t]))
observing("NoneAtEnd", lambda self: None if self.t == self.last else np.zeros(3))
observing("RowAtStep", lambda self: np.zeros((1, 3) if self.t else 3))
observing("OtherAtSecondReset", lambda self: np.zeros(3 if self.episodes < 2 or self.t else 4))
observing("Ragged", lambda self: [1, [2, 3], 4])
observing("Words", lambda self: np.array(["1", "2", "3"]))
observing("Complex", lambda self: np.zeros(3, complex))
observing("Transposed", lambda self: np.zeros((2, 3)), (3, 2))


@named("OldReset")
class OldReset(Counting):
    """Old API; its two numbers unpack into observation and info by accident."""

    space = Box(-100, 100, (2,), np.float32)

    def look(self) -> Any:
        return np.array([self.t, self.a], np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed=seed)[0]


for label, reward in {"Vector": np.zeros(2), "Matrix": np.zeros((1, 1)), "One": np.array([0.5])}.items():
    named(f"Reward{label}")(type(f"Reward{label}", (Counting,), {"pay": lambda self, action, reward=reward: reward}))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Wider", r"its observation has shape \(5,\), not \(3,\)"),
        ("Narrower", r"its observation has shape \(1,\), not \(3,\)"),
        ("NoneAtEnd", r"its observation is None, not an array of shape \(3,\)"),
        ("RowAtStep", r"its observation has shape \(1, 3\), not \(3,\)"),
        ("OtherAtSecondReset", r"its observation has shape \(4,\), not \(3,\)"),
        ("Ragged", "ValueError"),
        ("Words", "its observation consists of <U1, not of real numbers"),
        ("Complex", "its observation consists of complex128"),
        ("Transposed", r"its observation has shape \(2, 3\), not \(3, 2\)"),
        ("OldReset", r"its observation has shape \(\), not \(2,\)"),
        ("RewardVector", r"its reward is an array of shape \(2,\)"),
        ("RewardMatrix", r"its reward is an array of shape \(1, 1\)"),
    ],
)
def test_another_shape_is_refused_in_one_line_before_training(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^env = '{name}-v0' fails in its first steps: .*{message}") as error:
        envs.describe(Config(env=f"{name}-v0"))
    assert "\n" not in str(error.value)


observing("Column", lambda self: np.array([[self.t], [self.a], [self.start]]))
observing("Scalar", lambda self: np.float32(self.t), (1,))
observing("NoAxis", lambda self: np.float32(self.t), ())
observing("Picture", lambda self: np.full((2, 2, 1), self.t, np.uint8), (2, 2, 1))


@pytest.mark.parametrize(("name", "size"), [("Column", 3), ("Scalar", 1), ("NoAxis", 1), ("Picture", 4)])
def test_axes_of_length_one_may_be_missing_or_added_throughout(name: str, size: int) -> None:
    spec = envs.describe(Config(env=f"{name}-v0"))
    assert spec.observation_size == size
    host = envs.make_host(spec, [0], 2)
    host.step(np.ones((1, 2), int))
    step = host.step(np.ones((1, 2), int))
    assert (step.next_observation[..., 0] == 2).all()


def test_a_reward_of_shape_one_is_the_number_in_it() -> None:
    env = OneEnv(envs.describe(Config(env="RewardOne-v0")), 0, 0)
    env.reset()
    assert env.step(0)[1] == 0.5


observing("Late", lambda self: np.zeros(3 if self.t < 700 else 4))


def test_a_shape_that_changes_in_mid_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "last", 800)
    host = envs.make_host(envs.describe(Config(env="Late-v0")), [0], 1)
    for _ in range(699):
        host.step(np.zeros((1, 1), int))
    with pytest.raises(BadValue, match=r"its observation has shape \(4,\), not \(3,\)"):
        host.step(np.zeros((1, 1), int))
