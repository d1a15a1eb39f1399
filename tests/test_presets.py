"""Presets: those after rl-baselines3-zoo have its settings, all are valid, train, and fit the command line."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from pathlib import Path
from typing import Any

import pytest
import stable_baselines3

import softstep
from softstep import conventions, envs, presets
from softstep.cli.main import main
from softstep.cli.options import PresetName
from softstep.cli.train import Train
from softstep.config import Config
from softstep.runs import run_folder

OF_WALKER_TD3 = {
    "gamma": 0.98, "buffer_size": 200_000, "learning_starts": 10_000, "noise_std": 0.1, "gradient_steps": -1,
    "train_freq": (1, "episode"), "learning_rate": 1e-3, "net_arch": (400, 300),
}  # fmt: skip

ZOO: dict[str, dict[str, Any]] = {
    # DLR-RM/rl-baselines3-zoo:hyperparams/sac.yml:17-22, 25-37, 41-54
    "sac-pendulum": {"n_timesteps": 20_000, "learning_rate": 1e-3},
    "sac-lander": {
        "n_timesteps": 500_000, "batch_size": 256, "learning_rate": "lin_7.3e-4", "buffer_size": 1_000_000,
        "gamma": 0.99, "tau": 0.01, "train_freq": 1, "gradient_steps": 1, "learning_starts": 10_000,
        "net_arch": (400, 300),
    },
    "sac-walker": {
        "n_timesteps": 500_000, "learning_rate": 7.3e-4, "buffer_size": 300_000, "batch_size": 256, "gamma": 0.98,
        "tau": 0.02, "train_freq": 64, "gradient_steps": 64, "learning_starts": 10_000, "net_arch": (400, 300),
    },
    # td3.yml and ddpg.yml: Pendulum, LunarLanderContinuous-v2, BipedalWalker-v3
    "td3-pendulum": OF_WALKER_TD3 | {"n_timesteps": 20_000},
    "td3-lander": OF_WALKER_TD3 | {"n_timesteps": 300_000},
    "td3-walker": OF_WALKER_TD3 | {"n_timesteps": 1_000_000},
    "ddpg-pendulum": OF_WALKER_TD3 | {"n_timesteps": 20_000},
    "ddpg-lander": OF_WALKER_TD3 | {"n_timesteps": 300_000},
    "ddpg-walker": OF_WALKER_TD3 | {"n_timesteps": 1_000_000},
}  # fmt: skip
"""What the zoo writes down; for the rest it takes stable-baselines3's defaults."""

NETWORKS = {"sac": (256, 256), "td3": (400, 300), "ddpg": (400, 300)}
"""stable-baselines3's default networks (2.9.2, sac/policies.py:245, td3/policies.py:145)."""


def zoo_settings(name: str) -> dict[str, Any]:
    """Return the zoo's settings of a preset, over the defaults of the installed stable-baselines3."""
    algorithm = name.partition("-")[0]
    parameters = inspect.signature(getattr(stable_baselines3, algorithm.upper())).parameters
    defaults = {key: parameter.default for key, parameter in parameters.items()}
    return defaults | {"net_arch": NETWORKS[algorithm]} | ZOO[name]


def pace(settings: dict[str, Any]) -> dict[str, int]:
    """Return how the zoo trains, for `conventions`: a round of one episode has as many gradient steps as steps."""
    if settings["gradient_steps"] == -1:
        return {"train_freq": 1, "gradient_steps": 1}
    return {key: settings[key] for key in ("train_freq", "gradient_steps")}


@pytest.mark.parametrize("name", ZOO)
def test_the_target_of_a_preset_is_the_zoos_as_convert_reads_it(name: str) -> None:
    config, zoo, algorithm = presets.get(name), zoo_settings(name), name.partition("-")[0]
    given = {"tau": zoo["tau"], **pace(zoo)}
    if "policy_delay" in zoo:
        given["policy_delay"] = zoo["policy_delay"]
        assert (config.actor_period, config.target_noise, config.target_noise_clip) == (
            zoo["policy_delay"],
            zoo["target_policy_noise"],
            zoo["target_noise_clip"],
        )
    meaning = conventions.read(f"sb3-{algorithm}", given)
    assert (config.target.tau, config.target.period) == (meaning.tau, meaning.period)
    assert 1 / config.env_steps_per_gradient_step == meaning.gradient_steps / meaning.num_envs
    assert config.agents()[0].actor_tau == meaning.tau


@pytest.mark.parametrize("name", ZOO)
def test_the_other_settings_of_a_preset_are_the_zoos(name: str) -> None:
    config, zoo = presets.get(name), zoo_settings(name)
    rate = zoo["learning_rate"]
    linear = isinstance(rate, str)
    assert config.learning_rate == (float(rate.removeprefix("lin_")) if linear else rate)
    assert (config.learning_rate_decay < 0.01) == linear
    if linear:
        assert config.learning_rate_decay_steps == config.total_steps
    assert config.memory_size == min(zoo["buffer_size"], config.total_steps)
    ours = [config.gamma, config.batch_size, config.learning_starts, config.hidden, config.total_steps]
    assert ours == [zoo[k] for k in ("gamma", "batch_size", "learning_starts", "net_arch", "n_timesteps")]
    assert (config.train_every, config.gradient_steps) == tuple(pace(zoo).values())
    if config.algorithm != "sac":
        assert config.action_noise == zoo["noise_std"]


def test_the_command_line_offers_every_preset() -> None:
    assert typing.get_args(PresetName) == tuple(presets.PRESETS)
    assert {name for name, preset in presets.PRESETS.items() if preset.config.continuous} == {*ZOO}


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_preset_is_shown_as_the_file_that_gives_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", "--show", name]) == 0
    assert Config.from_json(capsys.readouterr().out) == presets.get(name)


@pytest.mark.parametrize("name", ZOO)
def test_a_preset_fits_its_environment(name: str) -> None:
    spec = envs.describe(presets.get(name))
    assert spec.action_bounds is not None
    sizes = {"pendulum": (3, 1), "lander": (8, 2), "walker": (24, 4)}
    assert (spec.observation_size, spec.num_actions) == sizes[name.partition("-")[2]]


def trained(name: str, folder: Path) -> softstep.Run:
    """Train a preset for 300 steps, of which the last 200 learn."""
    config = dataclasses.replace(
        presets.get(name), total_steps=300, learning_starts=100, eval_every=0, record_every=100, memory_size=300
    )
    return softstep.train(config, folder / "run", workers=1)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == "sac-lander" else pytest.mark.heavy) for n in ZOO])
def test_a_preset_trains_on_its_environment(name: str, tmp_path: Path) -> None:
    run = trained(name, tmp_path)
    assert run.summary["finished"]
    assert run.curves["gradient_steps"].max() >= 192


def parsed(*arguments: str) -> Config:
    return Train.parse("softstep train", list(arguments)).configuration()


def test_a_preset_names_its_environment_and_may_be_used_with_another(tmp_path: Path) -> None:
    assert parsed("--preset", "sac-lander") == presets.get("sac-lander")
    assert parsed("--preset", "lab").env == "LunarLander-v3"
    walker = parsed("BipedalWalker-v3", "--preset", "sac-lander")
    assert (walker.env, walker.env_args) == ("BipedalWalker-v3", {})
    assert walker == dataclasses.replace(presets.get("sac-lander"), env="BipedalWalker-v3", env_args={})
    both = parsed("--preset", "sac-lander", "--env-arg", "gravity=-5")
    assert both.env_args == {"continuous": True, "gravity": -5}
    file = tmp_path / "settings.json"
    file.write_text('{"env": "Pendulum-v1"}')
    assert parsed("--preset", "sac-lander", "--config", str(file)).env_args == {}
    assert parsed("Pendulum-v1", "--preset", "sac-lander", "--env-arg", "g=9.0").env_args == {"g": 9.0}


def test_the_continuous_lander_is_recorded_and_resumes(tmp_path: Path) -> None:
    small = ["--hidden", "8", "--batch-size", "8", "--learning-starts", "50", "--memory-size", "300", "--workers", "1"]
    out = ["--out", str(tmp_path / "run"), "--log", "none"]
    command = ["train", "LunarLander-v3", "--env-arg", "continuous=true", "--algorithm", "sac", *small]
    assert main([*command, "--total-steps", "200", *out]) == 0
    run = softstep.Run(run_folder.open_run(tmp_path / "run"))
    assert (run.config.algorithm, run.config.env_args) == ("sac", {"continuous": True})
    assert main(["train", "--resume", str(tmp_path / "run"), "--total-steps", "300", "--workers", "1"]) == 0
    assert main([*command, "--total-steps", "300", "--out", str(tmp_path / "whole"), "--log", "none"]) == 0
    runs = [softstep.load(tmp_path / name) for name in ("run", "whole")]
    observation = [0.1, 1.0, 0.2, -0.3, 0.05, 0.0, 0.0, 0.0]
    assert runs[0](observation).tolist() == runs[1](observation).tolist()
