"""Evaluations end, and hold few environments at a time, whatever the environment does."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import Tape, small

import softstep
from softstep import envs
from softstep.config import Config
from softstep.errors import EnvironmentFailed
from softstep.records.history import History
from softstep.runs import api
from softstep.training.evaluation import evaluation_seeds, play_on_host
from softstep.worker.in_process import run_blocks_here


class Lottery(gymnasium.Env[np.ndarray, int]):
    """An episode of 1 to 12 steps with random rewards, both drawn from the seed of its reset."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)  # type: ignore[assignment]
    alive: ClassVar[int] = 0
    most_alive: ClassVar[int] = 0
    allowed: ClassVar[int] = 10**9

    def __init__(self) -> None:
        if Lottery.alive >= Lottery.allowed:
            raise OSError("address already in use")
        Lottery.alive += 1
        Lottery.most_alive = max(Lottery.most_alive, Lottery.alive)
        self.episodes = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.left, self.episodes = int(self.np_random.integers(1, 13)), self.episodes + 1
        return np.zeros(2, np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        return np.ones(2, np.float32), self.np_random.random() * (1 + action), self.left == 0, False, {}

    def close(self) -> None:
        Lottery.alive -= 1


class Ageing(Lottery):
    """An environment whose rewards count its own episodes, so that a used one does not replay."""

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return np.full(2, self.episodes, np.float32), float(self.episodes), True, False, {}


class Endless(Lottery):
    """An episode that never ends."""

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return np.ones(2, np.float32), 1.0, False, False, {}


class Broken(Lottery):
    """An environment that breaks in the last step of its episode, if that is after the 45th."""

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.left += 1
        if self.left > 50:
            raise ValueError("the motor is on fire")
        return np.ones(2, np.float32), 1.0, False, False, {}


for kind in (Lottery, Ageing, Endless, Broken):
    gymnasium.register(f"Evaluated{kind.__name__}-v0", kind)


@pytest.fixture(autouse=True)
def nothing_alive() -> None:
    Lottery.alive = Lottery.most_alive = 0
    Lottery.allowed = 10**9


def play(env: str, agents: int, episodes: int, max_steps: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Play episodes in which agent number w always takes action w % 2; return the returns and which were cut."""
    spec = envs.describe(Config(env=env))
    Lottery.most_alive = 0

    def values(observations: np.ndarray) -> np.ndarray:
        return np.tile(np.eye(2)[np.arange(agents) % 2][:, None], (1, observations.shape[1], 1))

    played = play_on_host(spec, lambda o: values(o).argmax(-1), agents, evaluation_seeds(0, episodes), max_steps)
    assert Lottery.alive == 0
    return np.asarray(played.returns), np.asarray(played.cut)


def by_hand(agent: int, seed: int) -> float:
    """Return what an environment of its own pays for the episode of `seed`."""
    env, total, over = Lottery(), 0.0, False
    env.reset(seed=seed)
    while not over:
        _, reward, over, _, _ = env.step(agent % 2)
        total += reward
    env.close()
    return total


@given(st.integers(1, 3), st.integers(1, 25), st.integers(2, 40))
def test_queued_episodes_pay_what_they_pay_alone(agents: int, episodes: int, allowed: int) -> None:
    Lottery.alive, Lottery.allowed = 0, allowed
    returns, cut = play("EvaluatedLottery-v0", agents, episodes)
    expected = [[by_hand(w, seed) for seed in evaluation_seeds(0, episodes)] for w in range(agents)]
    np.testing.assert_array_equal(returns, expected)
    assert not cut.any()
    assert Lottery.most_alive == min(allowed, agents * min(episodes, 10))


def test_one_simulator_plays_every_episode() -> None:
    spec = envs.describe(Config(env="EvaluatedLottery-v0"))
    Lottery.allowed = 1
    played = play_on_host(spec, lambda o: np.zeros((2, o.shape[1]), int), 2, evaluation_seeds(0, 3), 100)
    np.testing.assert_array_equal(played.returns, [[by_hand(0, seed) for seed in evaluation_seeds(0, 3)]] * 2)
    Lottery.allowed = 0
    with pytest.raises(EnvironmentFailed, match="cannot be made for an evaluation: OSError: address already in use"):
        play_on_host(spec, lambda o: np.zeros((2, o.shape[1]), int), 2, evaluation_seeds(0, 3), 100)


def test_an_environment_that_does_not_replay_is_made_anew_for_every_episode() -> None:
    returns, _ = play("EvaluatedAgeing-v0", 2, 25)
    np.testing.assert_array_equal(returns, 1)
    assert Lottery.most_alive == 2 * 10


def test_a_failure_in_an_evaluation_names_the_environment_and_its_error() -> None:
    with pytest.raises(EnvironmentFailed, match=r"Broken-v0 failed at step \d+ of .*: ValueError: the motor"):
        play("EvaluatedBroken-v0", 1, 1)


@given(st.integers(1, 30), st.integers(1, 15))
def test_only_episodes_that_go_on_are_cut(episodes: int, max_steps: int) -> None:
    returns, cut = play("EvaluatedEndless-v0", 1, episodes, max_steps)
    np.testing.assert_array_equal(returns, max_steps)
    assert cut.all()
    lengths = [int(np.random.default_rng(seed).integers(1, 13)) for seed in evaluation_seeds(0, episodes)]
    np.testing.assert_array_equal(
        play("EvaluatedLottery-v0", 1, episodes, max_steps)[1], [np.array(lengths) > max_steps]
    )


@pytest.mark.parametrize("env", ["MountainCar-v0", "gymnax:MountainCar-v0"])
def test_a_training_run_cuts_counts_and_warns_once(env: str) -> None:
    tape = Tape(small(env=env, eval_every=100, eval_episodes=3, eval_max_steps=40))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = tape.run()
    assert [r.eval_return for r in tape.records] == [-40] * 4
    texts = [str(warning.message) for warning in caught if "cut" in str(warning.message)]
    assert len(texts) == 1
    assert "3 of 3 evaluation episodes of MountainCar-v0 had not ended after 40 steps" in texts[0]
    assert "--eval-max-steps" in texts[0]
    assert outcome.cut_episodes == 12
    assert History.from_arrays(tape.snapshots[1].arrays).cut_episodes == 6


def test_a_limit_that_no_episode_reaches_changes_nothing() -> None:
    plain, limited = (Tape(small(eval_every=200, eval_max_steps=steps)) for steps in (10**12, 501))
    assert plain.run().cut_episodes == limited.run().cut_episodes == 0
    assert [r.eval_return for r in plain.records] == pytest.approx(
        [r.eval_return for r in limited.records], nan_ok=True
    )


def test_evaluate_says_how_many_episodes_were_cut(tmp_path: Path) -> None:
    config = small(env="EvaluatedEndless-v0", seeds=2, total_steps=100, eval_max_steps=30)
    run = api.train(config, tmp_path / "run", execute=run_blocks_here)
    with pytest.warns(RuntimeWarning, match="8 of 8 evaluation episodes of EvaluatedEndless-v0 had not ended after 30"):
        evaluation = softstep.evaluate(run, episodes=4)
    np.testing.assert_array_equal(evaluation.returns, np.full((2, 4), 30))
    assert evaluation.cut.tolist() == [4, 4]
    with pytest.warns(RuntimeWarning, match="after 7 steps"):
        assert softstep.evaluate(run, episodes=1, eval_max_steps=7).returns.tolist() == [[7], [7]]
