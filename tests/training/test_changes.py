"""Changes of α and the target during a run, which are stored in the configuration and repeated on resume."""

from __future__ import annotations

import dataclasses

import pytest
from support import Tape, advance, make_driver, small

from softstep.config import Config
from softstep.errors import ConfigError
from softstep.settings import Agent, Arm, Change, Exploration, changed
from softstep.target import TargetUpdate
from softstep.training.block import block_hyper

ARMS = (Arm("left", 1e-3, TargetUpdate(0.1)), Arm("right", 1e-3, TargetUpdate(0.1)))
CHANGE = Change(200, "left", 5e-3, TargetUpdate.none())


def config(*changes: Change, env: str = "gymnax:CartPole-v1") -> Config:
    return small(env=env, arms=ARMS, changes=changes, block_width=2)


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_a_change_applies_from_its_step_on_and_only_to_its_arm(env: str) -> None:
    unchanged, with_change = Tape(config(env=env)), Tape(config(CHANGE, env=env))
    unchanged.run()
    with_change.run()
    rows = {
        arm: [(a, b) for a, b in zip(unchanged.records, with_change.records, strict=True) if a.arm == arm]
        for arm in ("left", "right")
    }
    assert all(a == b for a, b in rows["right"])
    assert [a == b for a, b in rows["left"]] == [True, True, False, False]  # records at 100, 200, 300 and 400 steps
    assert [(b.learning_rate, b.tau) for _, b in rows["left"]] == [(1e-3, 0.1)] * 2 + [(5e-3, 1.0)] * 2


def test_a_change_equals_setting_the_hyperparameters_of_the_learner_by_hand() -> None:
    changed_config = config(CHANGE)
    tape = Tape(changed_config)
    tape.run()
    by_hand = make_driver(config())
    advance(by_hand, config(), 100)  # 200 environment steps
    agents = tuple(changed(agent, [CHANGE]) for agent in changed_config.blocks()[0])
    by_hand.inputs = by_hand.inputs._replace(hyper=block_hyper(changed_config, agents))
    advance(by_hand, config(), 100)
    arrays, last = by_hand.snapshot(), tape.snapshots[-1].arrays
    parameters = [name for name in arrays if arrays[name].dtype == "float32" and arrays[name].ndim > 1]
    assert len(parameters) > 8
    assert all(arrays[name].tobytes() == last[name].tobytes() for name in parameters)


@pytest.mark.parametrize("stop_at", [100, 200, 300])
def test_a_resumed_run_applies_the_changes(stop_at: int) -> None:
    changed_config = config(CHANGE, Change(250, None, 2e-3))
    reference, stopped = Tape(changed_config), Tape(changed_config, stop_at=stop_at)
    resumed = Tape(changed_config)
    reference.run()
    assert stopped.run().stopped
    resumed.run(stopped.restored(len(stopped.snapshots) - 1))
    assert stopped.records + resumed.records == reference.records
    assert resumed.snapshots[-1].arrays["history"].tobytes() == reference.snapshots[-1].arrays["history"].tobytes()


def test_a_change_between_iterations_applies_from_the_next_iteration() -> None:
    odd, even = Tape(config(dataclasses.replace(CHANGE, env_steps=199))), Tape(config(CHANGE))
    odd.run()
    even.run()
    assert odd.records == even.records  # iterations of two steps start at 198 and 200


def test_a_change_keeps_the_settings_it_does_not_name() -> None:
    agent = Agent("left", 0, 1e-3, TargetUpdate(0.1), 0.99, Exploration())
    assert changed(agent, [Change(0, "right", 1.0)]) == agent
    assert changed(agent, [Change(0, None, 0.5)]) == dataclasses.replace(agent, learning_rate=0.5)
    assert changed(agent, [Change(0, "left", target=TargetUpdate.none())]).learning_rate == 1e-3
    assert changed(agent, [Change(0, None, 0.5), Change(1, "left", 0.25)]).learning_rate == 0.25


def test_changes_survive_json() -> None:
    changed_config = config(CHANGE, Change(250, None, 2e-3))
    assert Config.from_json(changed_config.to_json()) == changed_config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ((Change(5, "lefd"),), "did you mean 'left'"),
        ((Change(5), Change(4)), "not in order of time"),
    ],
)
def test_invalid_changes_are_refused(changes: tuple[Change, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(*changes)
    with pytest.raises(ConfigError, match="at least 0"):
        Change(-1)
    with pytest.raises(ConfigError, match="above 0"):
        Change(0, None, 0.0)
