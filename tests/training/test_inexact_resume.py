"""A resume that finds other episodes than it left goes on in new ones, says so, and marks the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from support import Tape, advance, make_driver, remembered, small

import softstep
import softstep.runs.api
from softstep import envs
from softstep.config import Config
from softstep.envs import episode_seed
from softstep.errors import EnvironmentFailed
from softstep.records.history import History
from softstep.runs.api import Run
from softstep.runs.listing import list_runs
from softstep.worker.in_process import run_blocks_here

LENGTH = 37
"""Steps of an episode; no checkpoint of these tests is at the end of one."""


class Changing(gymnasium.Env[np.ndarray, int]):
    """Observes (its seed, the time); the reward is the time. It can be changed between two parts of a run."""

    observation_space = gymnasium.spaces.Box(-1e6, 1e6, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    changes: ClassVar[dict[int, str]] = {}
    """What is different in an episode, by its seed; -1 stands for all other seeds."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        assert seed is not None
        self.seed, self.t = seed, 0
        self.change = self.changes.get(seed, self.changes.get(-1, "none"))
        return self.look(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.t += 1
        if self.change == "raises":
            raise ArithmeticError("the environment breaks")
        terminated = self.t == LENGTH or (self.change == "ends early" and self.t == 2)
        return self.look(), float(self.t), terminated, False, {}

    def look(self) -> np.ndarray:
        return np.array([self.seed % 999, self.t + 0.5 * (self.change == "looks different")], np.float32)


gymnasium.register("ChangingProbe-v0", Changing)


@pytest.fixture(autouse=True)
def _unchanged() -> Iterator[None]:
    yield
    Changing.changes = {}


def config(**changes: Any) -> Config:
    return small(env="ChangingProbe-v0", **({"learning_starts": 600} | changes))


@pytest.mark.parametrize("change", ["looks different", "ends early", "raises"])
def test_only_the_environments_that_do_not_replay_start_new_episodes(change: str) -> None:
    three = config(num_envs=3, train_every=3, seeds=2)
    first, second = make_driver(three), make_driver(three)
    advance(first, three, 50)
    snapshot, lengths = first.snapshot(), first.statistics.lengths.copy()
    assert (lengths > 2).all()
    Changing.changes = {episode_seed(1, 2, 1): change}  # the running episode of seed 1, environment 2
    assert second.restore(snapshot, remembered(first), first.iteration) == 1
    Changing.changes = {}
    cut = np.zeros((2, 3), bool)
    cut[1, 2] = True
    np.testing.assert_array_equal(second.statistics.lengths, np.where(cut, 0, lengths))
    np.testing.assert_array_equal(second.statistics.returns, np.where(cut, 0, first.statistics.returns))
    episodes = second.snapshot()["env/episode"]
    np.testing.assert_array_equal(episodes, snapshot["env/episode"] + cut.ravel())
    observed = second.snapshot()["env/observations"]
    np.testing.assert_array_equal(observed[~cut], snapshot["env/observations"][~cut])
    np.testing.assert_array_equal(observed[cut], [[episode_seed(1, 2, 2) % 999, 0]])
    finished = advance(second, three, 40)
    assert len(finished)
    np.testing.assert_array_equal(finished["length"], LENGTH)
    np.testing.assert_array_equal(finished["episode_return"], LENGTH * (LENGTH + 1) / 2)


def test_an_environment_that_always_raises_is_an_error_of_the_environment() -> None:
    tape = Tape(config(checkpoint_every=50), stop_at=50)
    tape.run()
    resumed = Tape(tape.config)
    Changing.changes = {-1: "raises"}
    with pytest.raises(EnvironmentFailed), pytest.warns(RuntimeWarning, match="did not replay 1 of 1 episodes"):
        resumed.run(tape.restored(0))


def stopped(config: Config, out: Path) -> Run:
    asked = iter([False] * 2)
    return softstep.runs.api.train(config, out, execute=run_blocks_here, should_stop=lambda: next(asked, True))


def test_a_run_goes_on_with_a_warning_and_a_mark(tmp_path: Path) -> None:
    run = stopped(config(seeds=2, block_width=1), tmp_path / "runs" / "run")
    assert run.summary["inexact_resumes"] == []
    left = run.summary["blocks"][0]["env_steps"]
    Changing.changes = {episode_seed(0, 0, left // LENGTH): "looks different"}  # in block 0 only
    asked = iter([False] * 2)
    with pytest.warns(
        RuntimeWarning, match=f"ChangingProbe-v0 did not replay 1 of 1 .* environment step {left}: the run"
    ):
        softstep.resume(run.path, execute=run_blocks_here, should_stop=lambda: next(asked, True))
    assert run.summary["inexact_resumes"] == [{"block": 0, "env_steps": left}]
    assert not run.summary["finished"]
    softstep.resume(run.path, execute=run_blocks_here)  # this time exactly
    assert run.summary["finished"]
    assert run.summary["inexact_resumes"] == [{"block": 0, "env_steps": left}]
    assert (run.episodes["episode_return"] == LENGTH * (LENGTH + 1) / 2).all()
    (line,) = list_runs(tmp_path / "runs")
    assert (line.finished, line.exact) == (True, False)


def test_an_environment_that_is_known_not_to_replay_is_marked_too() -> None:
    tape = Tape(small(env="CartPole-v1"), stop_at=100)
    tape.spec = dataclasses.replace(envs.describe(tape.config), exactly_resumable=False)
    tape.run()
    resumed = Tape(tape.config)
    resumed.spec = tape.spec
    resumed.run(tape.restored(0))
    history = History.from_arrays(resumed.snapshots[-1].arrays)
    assert history.inexact_resumes == [100]
