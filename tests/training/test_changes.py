"""α and the target of a running arm: changed at a step, written in the configuration, replayed from it."""

from __future__ import annotations

import dataclasses

import pytest
from support import Tape, advance, make_driver, small

from softstep.config import Agent, Arm, Change, Config, Exploration, changed
from softstep.errors import ConfigError
from softstep.target import TargetUpdate
from softstep.training.block import block_hyper

ARMS = (Arm("left", 1e-3, TargetUpdate(0.1)), Arm("right", 1e-3, TargetUpdate(0.1)))
CHANGE = Change(200, "left", 5e-3, TargetUpdate.none())


def config(*changes: Change, env: str = "gymnax:CartPole-v1") -> Config:
    return small(env=env, arms=ARMS, changes=changes, block_width=2)


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_a_change_holds_from_its_step_on_and_for_its_arm_alone(env: str) -> None:
    plain, told = Tape(config(env=env)), Tape(config(CHANGE, env=env))
    plain.run()
    told.run()
    rows = {
        arm: [(a, b) for a, b in zip(plain.records, told.records, strict=True) if a.arm == arm]
        for arm in ("left", "right")
    }
    assert all(a == b for a, b in rows["right"])
    assert [a == b for a, b in rows["left"]] == [True, True, False, False]  # records at 100, 200, 300 and 400 steps
    assert [(b.learning_rate, b.tau) for _, b in rows["left"]] == [(1e-3, 0.1)] * 2 + [(5e-3, 1.0)] * 2


def test_a_change_is_the_hyperparameters_of_the_learner_from_there_on() -> None:
    told = config(CHANGE)
    tape = Tape(told)
    tape.run()
    by_hand = make_driver(config())
    advance(by_hand, config(), 100)  # 200 environment steps
    agents = tuple(changed(agent, [CHANGE]) for agent in told.blocks()[0])
    by_hand.inputs = by_hand.inputs._replace(hyper=block_hyper(told, agents))
    advance(by_hand, config(), 100)
    arrays, last = by_hand.snapshot(), tape.snapshots[-1].arrays
    parameters = [name for name in arrays if arrays[name].dtype == "float32" and arrays[name].ndim > 1]
    assert len(parameters) > 8
    assert all(arrays[name].tobytes() == last[name].tobytes() for name in parameters)


@pytest.mark.parametrize("stop_at", [100, 200, 300])
def test_a_resumed_run_makes_the_changes_too(stop_at: int) -> None:
    told = config(CHANGE, Change(250, None, 2e-3))
    whole, begun, rest = Tape(told), Tape(told, stop_at=stop_at), Tape(told)
    whole.run()
    assert begun.run().stopped
    rest.run(begun.restored(len(begun.snapshots) - 1))
    assert begun.records + rest.records == whole.records
    assert rest.snapshots[-1].arrays["history"].tobytes() == whole.snapshots[-1].arrays["history"].tobytes()


def test_steps_between_iterations_count_from_the_next_iteration() -> None:
    odd, even = Tape(config(dataclasses.replace(CHANGE, env_steps=199))), Tape(config(CHANGE))
    odd.run()
    even.run()
    assert odd.records == even.records  # iterations of two steps begin at 198 and 200


def test_what_a_change_leaves_open_stays() -> None:
    agent = Agent("left", 0, 1e-3, TargetUpdate(0.1), 0.99, Exploration())
    assert changed(agent, [Change(0, "right", 1.0)]) == agent
    assert changed(agent, [Change(0, None, 0.5)]) == dataclasses.replace(agent, learning_rate=0.5)
    assert changed(agent, [Change(0, "left", target=TargetUpdate.none())]).learning_rate == 1e-3
    assert changed(agent, [Change(0, None, 0.5), Change(1, "left", 0.25)]).learning_rate == 0.25


def test_changes_survive_json() -> None:
    told = config(CHANGE, Change(250, None, 2e-3))
    assert Config.from_json(told.to_json()) == told


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ((Change(5, "lefd"),), "did you mean 'left'"),
        ((Change(5), Change(4)), "not in order of time"),
    ],
)
def test_changes_that_cannot_be_meant_are_refused(changes: tuple[Change, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config(*changes)
    with pytest.raises(ConfigError, match="at least 0"):
        Change(-1)
    with pytest.raises(ConfigError, match="above 0"):
        Change(0, None, 0.0)
