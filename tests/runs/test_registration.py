"""An environment's id stands for the same environment in every process of a run, or the run is refused."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium.envs.registration import WrapperSpec

from softstep.config import Config
from softstep.errors import ConfigError
from softstep.policies.policy import describe_environment
from softstep.records.events import Hooks
from softstep.runs import api, registration, run_folder
from softstep.runs.run_folder import RunFolder
from softstep.worker.run_block import execute_block

ID = "CartPole-v1"


@pytest.fixture(autouse=True)
def _own_registry() -> Iterator[None]:
    """Put every registration back."""
    before = copy.deepcopy(gymnasium.registry)
    yield
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


def registered_again(**changes: Any) -> None:
    gymnasium.registry[ID] = dataclasses.replace(gymnasium.registry[ID], **changes)


def new_run(path: Path, env: str = ID) -> RunFolder:
    return run_folder.create(path, Config(env=env), files=registration.files(env))


class Walled(gymnasium.Wrapper):
    """A wrapper that changes nothing."""


CHANGES = [
    {"max_episode_steps": 10},
    {"max_episode_steps": None},
    {"kwargs": {"sutton_barto_reward": True}},
    {"entry_point": "gymnasium.envs.classic_control.acrobot:AcrobotEnv"},
    {"entry_point": Walled},
    {"additional_wrappers": (WrapperSpec("Walled", f"{__name__}:Walled", {}),)},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
@pytest.mark.parametrize("env", [ID, f"gymnasium:{ID}"])
def test_any_change_of_a_registration_is_named_both_ways(env: str, change: dict[str, Any], tmp_path: Path) -> None:
    genuine = new_run(tmp_path / "genuine", env)
    assert registration.difference(genuine) is None
    registered_again(**change)
    changed = new_run(tmp_path / "changed", env)
    assert registration.difference(changed) is None
    name = next(iter(change)).removeprefix("additional_")
    assert f"{name} = " in str(registration.difference(genuine))
    gymnasium.registry[ID] = gymnasium.spec("CartPole-v0")
    assert registration.difference(changed) is not None


def test_objects_among_the_arguments_do_not_differ_from_run_to_run(tmp_path: Path) -> None:
    registered_again(kwargs={"thing": object(), "function": lambda: 0})
    run = new_run(tmp_path / "run")
    registered_again(kwargs={"thing": object(), "function": lambda: 0})
    assert registration.difference(run) is None


def test_other_makers_and_unknown_ids_have_no_registration() -> None:
    assert registration.files("gymnax:CartPole-v1") == {}
    assert registration.files("envpool:CartPole-v1") == {}
    assert registration.files("Nothing-v0") == {}


def test_the_first_worker_records_what_the_starting_process_does_not_know(tmp_path: Path) -> None:
    run = run_folder.create(tmp_path / "run", Config(env=ID))
    registration.record(run)
    assert registration.difference(run) is None
    registered_again(max_episode_steps=10)
    registration.record(run)
    assert "max_episode_steps = 500 there, 10 here" in str(registration.difference(run))


def test_a_run_is_refused_if_its_workers_know_another_environment_and_leaves_no_folder(tmp_path: Path) -> None:
    registered_again(max_episode_steps=10)
    with pytest.raises(ConfigError, match=r"max_episode_steps = 10 there, 500 here.*env_modules=") as caught:
        api.train(Config(env=ID), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_an_id_that_only_the_starting_process_knows_is_refused_with_the_way_out(tmp_path: Path) -> None:
    gymnasium.register("Here-v0", "gymnasium.envs.classic_control.cartpole:CartPoleEnv")
    run = new_run(tmp_path / "run", "Here-v0")
    del gymnasium.registry["Here-v0"]
    with pytest.raises(ConfigError, match=r"registered where the run was started .*--env-module your_module"):
        execute_block(run, 0, Hooks())


def test_a_run_is_evaluated_on_another_environment_with_a_warning_only(tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    registered_again(max_episode_steps=10)
    with pytest.warns(RuntimeWarning, match="max_episode_steps = 500 there, 10 here"):
        assert describe_environment(run).num_actions == 2
