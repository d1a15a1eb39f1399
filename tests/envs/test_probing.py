"""Which environments count as exactly resumable: those whose episodes replay from seed and actions alone."""

from __future__ import annotations

import random
import time
from typing import Any

import numpy as np
import pytest
from counting import Counting, named

from softstep import envs
from softstep.config import Config
from softstep.envs import probing
from softstep.random_streams import random_streams_restored


class Drawing(Counting):
    """Observes `draw()` from step `start` of its long episodes on."""

    last, since = 200, 0

    def draw(self) -> float:
        return 0.0

    def look(self) -> Any:
        return np.array([self.t, self.a, self.draw() if self.t >= self.since else 0], np.float32)


def drawing(name: str, draw: Any, since: int = 0, reset: Any = None) -> None:
    """Register an environment that observes `draw(environment)`."""

    def seeded(self: Any, *, seed: int | None = None, options: Any = None) -> Any:
        if reset is not None:
            reset(seed)
        return Counting.reset(self, seed=seed)

    named(name)(type(name, (Drawing,), {"draw": draw, "since": since, "reset": seeded}))


drawing("OwnStream", lambda self: self.np_random.normal())
drawing("GlobalNumPy", lambda self: np.random.normal())  # noqa: NPY002
drawing("GlobalPython", lambda self: random.random())
drawing("LateNumPy", lambda self: np.random.normal(), since=150)  # noqa: NPY002
drawing("LatePython", lambda self: random.random(), since=190)
drawing("Unseeded", lambda self: np.random.default_rng().normal(), since=100)
drawing("Clock", lambda self: time.perf_counter() % 1, since=60)
drawing("CountsResets", lambda self: self.episodes, since=120)
drawing("SeedsNumPy", lambda self: np.random.normal(), reset=np.random.seed)  # noqa: NPY002
drawing("SeedsPython", lambda self: random.random(), reset=random.seed)
drawing("Shared", lambda self: next(COUNTER), since=100)
drawing("NaN", lambda self: float("nan"))
COUNTER = iter(range(10**9))

REPLAYING = {"OwnStream", "NaN"}


@pytest.mark.parametrize(
    "name",
    ["OwnStream", "NaN", "GlobalNumPy", "GlobalPython", "LateNumPy", "LatePython", "Unseeded", "Clock", "CountsResets",
     "SeedsNumPy", "SeedsPython", "Shared"],
)  # fmt: skip
def test_only_seed_and_actions_may_decide_an_episode(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "SECONDS", 60)
    assert envs.describe(Config(env=f"{name}-v0")).exactly_resumable == (name in REPLAYING)


def test_numpys_global_stream_is_left_as_it_was() -> None:
    np.random.seed(5)  # noqa: NPY002
    envs.describe(Config(env="SeedsNumPy-v0"))
    np.testing.assert_array_equal(np.random.random(3), np.random.RandomState(5).random(3))  # noqa: NPY002


def test_both_global_streams_are_put_back() -> None:
    """The checks of shapes in these tests draw from Python's stream, so that a whole probing cannot be compared."""
    random.seed(5)
    with random_streams_restored():
        probing._draw_from_global_streams()
        random.seed(6)
    assert random.random() == random.Random(5).random()


@named("Slow")
class Slow(Counting):
    def step(self, action: Any) -> Any:
        time.sleep(0.05)
        return super().step(action)


def test_an_environment_that_is_slow_to_step_is_played_for_a_short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "SECONDS", 0.1)
    start = time.perf_counter()
    assert envs.describe(Config(env="Slow-v0")).exactly_resumable
    assert time.perf_counter() - start < 2  # 600 steps would take 60 s


@named("OneAtATime")
class OneAtATime(Counting):
    """A simulator of which a process can hold one."""

    alive = 0

    def __init__(self) -> None:
        super().__init__()
        assert OneAtATime.alive == 0
        OneAtATime.alive += 1

    def close(self) -> None:
        OneAtATime.alive -= 1


def test_one_instance_exists_at_a_time() -> None:
    assert envs.describe(Config(env="OneAtATime-v0")).exactly_resumable
    assert OneAtATime.alive == 0


def test_a_failure_after_the_first_steps_is_left_to_the_run() -> None:
    @named("FailsLate")
    class FailsLate(Counting):
        last, fails_at = 100, 41

        def pay(self, action: Any) -> Any:
            if self.t == self.fails_at:
                raise ArithmeticError("it breaks")
            return 0.0

    assert envs.describe(Config(env="FailsLate-v0")).exactly_resumable
    FailsLate.fails_at = 39
    with pytest.raises(ValueError, match="it breaks"):
        envs.describe(Config(env="FailsLate-v0"))
