"""Stops: wherever one comes, the last snapshot continues to the end of an undisturbed run, bit for bit."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from support import Tape, make_driver, small

from softstep import envs
from softstep.config import Config
from softstep.errors import Abandoned
from softstep.records.events import Hooks, Outcome, Restored
from softstep.training import loop
from softstep.training.randomness import drawn_ahead


class Stoppable(gymnasium.Env[np.ndarray, int]):
    """Episodes of 7 steps; a step in abandonable work may bring the stop."""

    observation_space = gymnasium.spaces.Box(-100, 100, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    abandonable = False
    steps_left = -1
    """Steps in abandonable work until the stop; negative for never."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.t = 0
        return self.np_random.normal(size=2).astype(np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if Stoppable.abandonable:
            Stoppable.steps_left -= 1
            if Stoppable.steps_left == -1:
                raise Abandoned
        self.t += 1
        return np.array([self.t, action], np.float32), float(action == self.t % 2), self.t == 7, False, {}


gymnasium.register("Stoppable-v0", Stoppable)


@contextlib.contextmanager
def abandonable() -> Iterator[None]:
    Stoppable.abandonable = True
    try:
        yield
    finally:
        Stoppable.abandonable = False


class StoppedTape(Tape):
    """A recording of a run that is stopped after `steps` environment steps in abandonable work."""

    def stop_after(self, steps: int, restored: Restored | None = None) -> Outcome:
        Stoppable.steps_left = steps
        hooks = Hooks(self.records.extend, on_checkpoint=self.snapshots.append, abandonable=abandonable)
        try:
            return loop.run_block(self.config, self.agents, self.spec, hooks, restored)
        finally:
            Stoppable.steps_left = -1


def run(config: Config) -> Tape:
    tape = Tape(config)
    tape.run()
    return tape


def assert_same_end(tape: Tape, reference: Tape) -> None:
    """Assert that two recordings end with equal arrays, which include all records and episodes."""
    ours, theirs = tape.snapshots[-1], reference.snapshots[-1]
    assert ours.env_steps == theirs.env_steps
    assert ours.arrays.keys() == theirs.arrays.keys()
    for name, array in theirs.arrays.items():
        np.testing.assert_array_equal(ours.arrays[name], array, err_msg=name)


SETTINGS = {
    "env": "Stoppable-v0", "seeds": 2, "num_envs": 2, "train_every": 4, "total_steps": 200, "record_every": 40,
    "checkpoint_every": 60, "eval_every": 50, "eval_episodes": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed() -> Tape:
    return run(small(**SETTINGS))


@pytest.mark.parametrize("steps", [40, 41, 333])
def test_a_stop_inside_a_slow_iteration_loses_only_that_iteration(
    undisturbed: Tape, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.0)  # every iteration is slow
    tape = StoppedTape(undisturbed.config)
    outcome = tape.stop_after(steps)
    assert outcome.stopped
    assert outcome.env_steps == tape.snapshots[-1].env_steps <= 200
    tape.run(tape.restored(len(tape.snapshots) - 1))
    assert_same_end(tape, undisturbed)
    assert list(map(repr, tape.records)) == list(map(repr, undisturbed.records))


def stopped_in_evaluation(config: Config, number: int) -> StoppedTape:
    """Return the recording of a run that is stopped inside its evaluation `number`, at full speed."""
    tape = StoppedTape(config)
    outcome = tape.stop_after(8 + (number - 1) * 28 + 5)  # the first iteration; evaluations of 2 × 2 episodes
    assert outcome.stopped
    assert outcome.env_steps == tape.snapshots[-1].env_steps
    return tape


@pytest.mark.parametrize("number", [1, 2, 4], ids=["first", "second", "last"])
def test_a_stop_inside_an_evaluation_keeps_the_step_and_evaluates_when_resumed(
    undisturbed: Tape, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 1e6)  # no iteration is slow
    tape = stopped_in_evaluation(undisturbed.config, number)
    assert tape.snapshots[-1].env_steps == [52, 100, 152, 200][number - 1]
    outcome = tape.run(tape.restored(len(tape.snapshots) - 1))
    assert not outcome.stopped
    assert_same_end(tape, undisturbed)
    assert list(map(repr, tape.records)) == list(map(repr, undisturbed.records))


def test_a_run_stopped_twice_in_one_evaluation_ends_alike(undisturbed: Tape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 1e6)
    tape = stopped_in_evaluation(undisturbed.config, 2)
    again = tape.stop_after(10, tape.restored(len(tape.snapshots) - 1))  # four steps are replayed
    assert again.stopped
    assert again.executed_steps == 0
    tape.run(tape.restored(len(tape.snapshots) - 1))
    assert_same_end(tape, undisturbed)


def test_a_stop_before_the_first_iteration_saves_nothing() -> None:
    tape = StoppedTape(small(**SETTINGS))

    @contextlib.contextmanager
    def at_once() -> Iterator[None]:
        raise Abandoned
        yield

    with pytest.raises(Abandoned):
        loop.run_block(tape.config, tape.agents, tape.spec, Hooks(abandonable=at_once))


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_bits_do_not_depend_on_how_often_a_run_asks_whether_to_stop(env: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(env=env, total_steps=240, record_every=70, eval_every=110, eval_episodes=1)
    ends = []
    for seconds in (1e6, 0.0, 2e-3):
        monkeypatch.setattr(loop, "POLL_SECONDS", seconds)
        ends.append(run(config))
    assert_same_end(ends[1], ends[0])
    assert_same_end(ends[2], ends[0])


def test_progress_and_polls_come_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """At full speed once per call of the driver, and once per iteration if that takes longer than between polls."""

    def polls(seconds: float) -> int:
        monkeypatch.setattr(loop, "POLL_SECONDS", seconds)
        config, count = small(env="CartPole-v1", total_steps=256, train_every=1, learning_starts=1), 0

        def poll() -> bool:
            nonlocal count
            count += 1
            return False

        loop.run_block(config, config.blocks()[0], envs.describe(config), Hooks(should_stop=poll))
        return count

    assert polls(0.0) == 256
    assert polls(1e6) < 12


def test_a_compiled_loop_runs_one_iteration_until_its_time_is_known() -> None:
    driver = make_driver(small())
    for learning in (False, True):
        first = driver.iteration
        driver.advance(20, learning=learning, seconds=1e6)
        assert driver.iteration == first + 1
        driver.advance(20, learning=learning, seconds=1e6)
        assert driver.iteration == first + 21


RARE = {"record_every": 5000, "eval_every": 5000, "checkpoint_every": 5000}


def test_short_iterations_are_drawn_further_ahead() -> None:
    rare, short = partial(small, **RARE), partial(small, **RARE, env="gymnax:CartPole-v1", batch_size=64)
    assert drawn_ahead(short()) == 1024
    assert drawn_ahead(short(seeds=8, block_width=8)) == 2**18 // (8 * (64 + small().train_every))
    assert drawn_ahead(rare(env="CartPole-v1", batch_size=64)) == 256
    assert 64 < drawn_ahead(rare(seeds=16, block_width=16, batch_size=128, memory_size=1000)) < 256
    assert drawn_ahead(rare(seeds=8, block_width=8, batch_size=2048, memory_size=5000)) == 64
    assert drawn_ahead(short(num_envs=4096, train_every=4096, memory_size=5000)) == 64
    assert drawn_ahead(rare(env="gymnax:Pendulum-v1", algorithm="sac")) == 64


@pytest.mark.parametrize("event", RARE)
def test_no_more_is_drawn_than_is_used_until_the_next_event(event: str) -> None:
    assert drawn_ahead(small(**RARE | {event: 600}, train_every=4)) == 150
    assert drawn_ahead(small(**RARE | {event: 100}, train_every=4)) == 64


def test_a_ring_gives_the_rows_of_one_iteration_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a slow iteration has claimed before it was abandoned overwrites no row of the snapshot before it."""
    config = dataclasses.replace(small(**SETTINGS), memory_size=20)
    reference = run(config)
    tape = StoppedTape(config)
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.0)
    tape.stop_after(450)
    tape.run(tape.restored(len(tape.snapshots) - 1))
    assert_same_end(tape, reference)
