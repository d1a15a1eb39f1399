"""--env-arg KEY=VALUE and --flatten: from the command line to the environment, in every command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import small

import softstep
from softstep.cli.options import environment_argument
from softstep.cli.train import Train
from softstep.config import Config
from softstep.envs import EnvSpec, describe
from softstep.errors import ConfigError
from softstep.learner.networks import make_network
from softstep.policies.policy import Policy
from softstep.studies.grid import cell_config
from softstep.studies.spec import Spec


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("True", True), ("FALSE", False), ("null", None), ("None", None), ("3", 3), ("-3", -3),
        ("1_000", 1000), ("-5.0", -5.0), ("1e-3", 0.001), (".5", 0.5), ("8x8", "8x8"), ("", ""), ("a=b", "a=b"),
        ('"3"', "3"), ("'true'", "true"), ("--x", "--x"),
    ],
)  # fmt: skip
def test_values_are_scalars(text: str, value: Any) -> None:
    name, read = environment_argument(f"key={text}")
    assert (name, read, type(read)) == ("key", value, type(value))


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_what_json_writes_is_read_back(value: Any) -> None:
    read = environment_argument(f"key={json.dumps(value)}")[1]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("text", ["gravity", "=3", "a b=3", "-x=3", ""])
def test_what_has_no_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        environment_argument(text)


def parsed(*arguments: str) -> Config:
    command = Train.parse("softstep train", list(arguments))
    return command.configuration()


def test_flags_are_repeated_and_lie_over_a_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"env_args": {"gravity": -3.0, "enable_wind": true}, "flatten": true}')
    given = ["LunarLander-v3", "--env-arg", "gravity=-5.0", "--env-arg", "wind_power=3"]
    assert parsed(*given).env_args == {"gravity": -5.0, "wind_power": 3}
    merged = parsed(*given, "--config", str(file))
    assert merged.env_args == {"gravity": -5.0, "enable_wind": True, "wind_power": 3}
    assert merged.flatten
    assert parsed("LunarLander-v3", "--flatten", "--preset", "lab").flatten
    assert parsed("LunarLander-v3").env_args == {}


def test_a_studys_base_and_axes_take_them() -> None:
    text = 'env = "LunarLander-v3"\n[base]\nflatten = true\nenv_args = { gravity = -5.0, enable_wind = true }\n'
    base = Spec.from_toml(text, source="spec").base
    assert base.env_args == {"gravity": -5.0, "enable_wind": True}
    cell = cell_config({"env_args.gravity": -9.0, "env_args.wind_power": 1}, base)
    assert cell.env_args == {"gravity": -9.0, "enable_wind": True, "wind_power": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"env": "CartPole-v1", "env_args": {"gravitas": 1}}, "cannot be made with env_args = {'gravitas': 1}"),
        ({"env": "LunarLander-v3", "env_args": {"gravity": 5.0}}, "cannot be made with env_args = {'gravity': 5.0}"),
        ({"env": "LunarLander-v3", "env_args": {"continuous": True}}, "leave out the argument continuous"),
        ({"env": "CartPole-v1", "env_args": {"render_mode": "human"}}, "may not hold 'render_mode'"),
        ({"env": "gymnax:CartPole-v1", "env_args": {"a": 1}}, "for Gymnasium's environments"),
        ({"env": "gymnax:CartPole-v1", "flatten": True}, "for Gymnasium's environments"),
        ({"env": "FrozenLake-v1"}, "--flatten .*of size 16"),
        ({"env": "Blackjack-v1"}, "Tuple observations.*--flatten .*of size 45"),
    ],
)
def test_what_the_environment_does_not_take_is_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        describe(Config(**settings))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("env", "size"), [("FrozenLake-v1", 16), ("CliffWalking-v1", 48), ("Blackjack-v1", 45), ("Taxi-v4", 500)]
)
def test_flattened_observations_have_gymnasiums_sizes(env: str, size: int) -> None:
    assert describe(Config(env=env, flatten=True)).observation_size == size


def test_a_policy_numbers_its_actions_as_the_environment_does() -> None:
    config = small()
    network = make_network(config, 4, 2)
    spec = EnvSpec("Own-v0", "gymnasium", 4, 2, exactly_resumable=True, first_action=-1)
    policy = Policy(config.agents()[0], spec, network, network.init(jax.random.key(0)), config.hidden)
    for observation in np.eye(4):
        assert policy(observation) == int(np.argmax(policy.q_values(observation))) - 1


def test_a_run_is_evaluated_and_watched_with_its_arguments(tmp_path: Path) -> None:
    settings = small(env="FrozenLake-v1", flatten=True, env_args={"map_name": "8x8"}, total_steps=60)
    run = softstep.train(settings, tmp_path / "run", workers=1)
    assert softstep.load(run).spec.observation_size == 64
    assert softstep.evaluate(run, 2).returns.shape == (1, 2)
    policy = softstep.load(run)
    written = softstep.landing_gif(policy.q_values, policy.spec, tmp_path / "a.gif", max_steps=3)
    assert written["steps"] == 3
    assert json.loads((run.path / "config.json").read_text())["env_args"] == {"map_name": "8x8"}
