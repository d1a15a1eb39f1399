"""Environments whose code fails outside a step: one line before training, or a warning where nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from probes import Constant

from softstep import envs
from softstep.config import Config
from softstep.errors import ConfigError, EnvironmentFailed
from softstep.training.evaluation import play_on_host


class Needs(Constant):
    def __init__(self, size: int) -> None: ...


class Exits(Constant):
    def __init__(self) -> None:
        raise SystemExit


class Asserts(Constant):
    def reset(self, **options: Any) -> Any:
        raise AssertionError


class CloseRaises(Constant):
    def close(self) -> None:
        raise RuntimeError("the viewer has gone already")


class Single(Constant):
    """A simulator on a fixed port."""

    made = 0

    def __init__(self) -> None:
        if Single.made:
            raise OSError("address already in use")
        Single.made = 1

    def close(self) -> None:
        Single.made = 0


class Strict(Constant):
    """Makes NumPy raise, and returns numbers that underflow in float32."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float64)

    def __init__(self) -> None:
        np.seterr(all="raise")

    def observe(self) -> np.ndarray:
        return np.array([1e-50])


class Gives(Constant):
    """Raises in the third step of an episode."""

    def outcome(self, action: int) -> tuple[float, bool]:
        if self.t == 3:
            raise SystemExit("enough")
        return 1.0, False


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    cases = (Needs, Exits, Asserts, CloseRaises, Single, Strict, Gives)
    for case in cases:
        gymnasium.register(f"{case.__name__}-v0", case, max_episode_steps=3 if case is Single else None)
    yield
    for case in cases:
        del gymnasium.registry[f"{case.__name__}-v0"]
    Single.made = 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Needs", r"cannot be made: TypeError: .*missing 1 required positional argument: 'size'"),
        ("Exits", r"cannot be made: SystemExit$"),
        ("Asserts", r"fails in its first steps: AssertionError$"),
        ("Gives", r"fails in its first steps: SystemExit: enough$"),
    ],
)
def test_a_failure_before_training_is_one_line_with_its_class_and_cause(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        envs.describe(Config(env=f"{name}-v0"))
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_close_that_raises_is_a_warning() -> None:
    with pytest.warns(RuntimeWarning, match=r"CloseRaises-v0: close\(\) raised RuntimeError: the viewer has gone"):
        spec = envs.describe(Config(env="CloseRaises-v0"))
    assert spec.exactly_resumable
    host = envs.make_host(spec, [0], 1)
    with pytest.warns(RuntimeWarning, match="the viewer has gone"):
        host.close()


def test_a_simulator_that_can_only_be_made_once_serves_one_agent() -> None:
    spec = envs.describe(Config(env="Single-v0"))
    host = envs.make_host(spec, [0], 1)
    assert host.step(np.zeros((1, 1), int)).reward == 1
    with pytest.raises(EnvironmentFailed, match=r"for an evaluation: OSError: address already in use"):
        envs.make_evaluation(spec, 1, [0])
    host.close()
    with pytest.raises(ConfigError, match=r"2 × Single-v0 cannot be made and reset: OSError"):
        envs.make_host(spec, [0, 1], 1)


def test_our_own_arithmetic_does_not_raise_because_the_environment_asks_for_it() -> None:
    before = np.geterr()
    spec = envs.describe(Config(env="Strict-v0"))
    host = envs.make_host(spec, [0], 1)
    assert np.geterr() == before
    assert host.step(np.zeros((1, 1), int)).next_observation == 0
    host.close()


def test_a_failure_in_an_evaluation_is_the_environments() -> None:
    spec = envs.EnvSpec("Gives-v0", "gymnasium", 1, 2, exactly_resumable=True)
    with pytest.raises(
        EnvironmentFailed, match=r"Gives-v0 failed at step 3 of evaluation episodes: SystemExit: enough"
    ):
        play_on_host(spec, lambda o: np.zeros((1, 1), int), 1, [0], 100)


def test_a_gymnax_environment_that_has_to_download_and_cannot_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(ConfigError, match=r"MNISTBandit-bsuite' cannot be made: \w+Error"):
        envs.describe(Config(env="gymnax:MNISTBandit-bsuite"))
