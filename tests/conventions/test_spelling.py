"""Settings as people have them: other spellings, words, units, files, pasted command lines."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from softstep import conventions
from softstep.cli.convert import pasted_flags
from softstep.cli.main import main
from softstep.errors import ConfigError

DQN_YML = """
atari:
  target_update_interval: 1000
CartPole-v1: &cartpole
  n_timesteps: !!float 5e4
  policy: 'MlpPolicy'
  learning_rate: !!float 2.3e-3
  target_update_interval: 10
  train_freq: 256
  gradient_steps: 128
  policy_kwargs: "dict(net_arch=[256, 256])"
CartPole-v0:
  <<: *cartpole
  target_update_interval: 2_560
"""
GIN = """
import dopamine.jax.agents.dqn.dqn_agent
PERIOD = 100  # a macro
JaxDQNAgent.gamma = 0.99
JaxDQNAgent.target_update_period = %PERIOD  # agent steps
cartpole/JaxDQNAgent.update_period = 4
create_optimizer.eps = 3.125e-4
"""

SAME: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("cleanrl", {"--target-network-frequency": "1_000", "train-frequency": "4"},
     {"target_network_frequency": 1000, "train_frequency": 4}),
    ("dopamine", {"JaxDQNAgent.target_update_period": 100, "JaxDQNAgent.update_period": "4"},
     {"target_update_period": 100, "update_period": 4}),
    ("lab", {"agent.tau": 0.002}, {"TAU": 0.002}),
    ("softstep", {"--target.tau": 0.1, "config.target.period": 3}, {"target.tau": 0.1, "target.period": 3}),
    ("tianshou", {"target_update_freq": 500, "update_per_step": 0.1},
     {"target_update_freq": 500, "update_step_num_gradient_steps_per_sample": 0.1}),
    ("torchrl-hard", {"loss.hard_update_freq": 50}, {"value_network_update_interval": 50}),
    ("torchrl-soft", {"eps": 0.75}, {"tau": 0.25}),
    ("torchrl-soft", {"target_update_polyak": 0.75}, {"tau": 0.25}),
    ("rllib", {"train_batch_size_per_learner": 64, "training_intensity": 2},
     {"train_batch_size": 64, "training_intensity": 2}),
    ("rllib", {"rollout_fragment_length": "auto", "n_step": 4}, {"rollout_fragment_length": 4}),
    ("sb3", {"train_freq": '[8, "step"]'}, {"train_freq": 8}),
    ("sb3", {"train_freq": (8, "step")}, {"train_freq": 8}),
    ("moco", {"--moco-m": 0.99}, {"m": 0.99}),
    ("agilerl", {"INIT_HP.TAU": 0.01, "INIT_HP.LEARN_STEP": 4}, {"tau": 0.01, "learn_step": 4}),
]  # fmt: skip


@pytest.mark.parametrize("word", ["schedule=harmonic", "tau=0.01", "period=4"])
def test_a_typed_setting_without_its_section_is_refused_by_its_full_name(word: str) -> None:
    name, _, value = word.partition("=")
    with pytest.raises(ConfigError, match=rf"softstep has no setting '{name}'; did you mean 'target\.{name}'\?"):
        conventions.select("softstep", {name: value}, typed=True)
    assert conventions.select("softstep", {name: value, "exploration.schedule": "linear"}, typed=False).settings == {}


@pytest.mark.parametrize(("name", "spelled", "plain"), SAME, ids=[f"{s[0]} {next(iter(s[1]))}" for s in SAME])
def test_other_spellings_mean_the_same(name: str, spelled: dict[str, Any], plain: dict[str, Any]) -> None:
    assert conventions.read(name, spelled) == conventions.read(name, plain)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "sb3-sac",
        {"train_freq": '[1, "episode"]'},
        "counts episodes, which have no fixed length: give a number of steps",
    ),
    ("sb3-sac", {"train_freq": [1, "episode"]}, "counts episodes"),
    ("sb3", {"train_freq": "[1, 2, 3]"}, "is not a number"),
    ("sb3", {"train_freq": "[oops"}, "is not a number"),
    ("sb3", {"tau": True}, "is not a number"),
    ("softstep", {"target.schedule": "harmonic"}, "no other library has a tau that falls"),
    ("softstep", {"target.schedule": "cosine"}, "is not a number or 'constant', 'harmonic'"),
    ("cleanrl", {"policy_frequency": 2}, "but cleanrl-td3 and cleanrl-ddpg have: use --from cleanrl-td3"),
    ("rejax", {"policy_delay": 2}, "but rejax-td3 has: use --from rejax-td3"),
    ("rllib", {"rollout_fragment_length": "some"}, "is not a number or 'auto'"),
    ("torchrl-soft", {"eps": 0.99, "tau": 0.99}, "eps and tau disagree about tau"),
    ("torchrl-soft", {"eps": 1.5}, "eps = 1.5 must be in [0, 1]"),
    ("nothing", {}, "optax serves any library: give step_size, update_period and env_steps_per_gradient_step"),
]


@pytest.mark.parametrize(("name", "settings", "message"), REFUSED, ids=[r[2][:30] for r in REFUSED])
def test_invalid_values_are_refused_in_one_line(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        conventions.read(name, settings)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_keys_that_agree_are_accepted() -> None:
    assert conventions.read("torchrl-soft", {"eps": 0.75, "tau": 0.25}).tau == 0.25


def test_the_epsilon_of_an_optimizer_is_not_a_weight_of_the_target() -> None:
    selected = conventions.select("torchrl-soft", {"optim.eps": 1e-8, "optimizer.tau": 3, "tau": 0.1}, typed=False)
    assert selected.settings == {"tau": 0.1}
    assert selected.others == ["optim.eps", "optimizer.tau"]


def test_unrelated_keys_are_passed_over_and_misspelt_ones_are_refused() -> None:
    block = {"n_timesteps": "5e4", "learning_rate": "1e-3", "target_update_interval": 600, "train_freq": 16}
    selected = conventions.select("sb3", block, typed=True)
    assert selected.others == ["n_timesteps", "learning_rate"]
    for key in ("tua", "target_update_intervall", "train_frequ"):
        with pytest.raises(ConfigError, match="did you mean"):
            conventions.select("sb3", {key: 1}, typed=True)
    assert conventions.select("cleanrl-sac", {"policy_frequency": 2}, typed=True).others == ["policy_frequency"]
    assert conventions.select("sbx-td3", {"policy_delay": 2}, typed=True).others == ["policy_delay"]
    assert conventions.select("rllib-sac", {"train_batch_size": 32}, typed=True).others == ["train_batch_size"]


def converted(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main(["convert", *map(str, arguments), "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_a_section_of_a_yaml_file_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "dqn.yml"
    path.write_text(DQN_YML)
    result = converted(capsys, "--from", "sb3", "--file", path, "--entry", "CartPole-v1")
    assert (result["period"], result["mean_lag"]) == (128, 63.5)
    assert result["passed_over"] == ["n_timesteps", "policy", "learning_rate", "policy_kwargs"]
    merged = converted(capsys, "--from", "sb3", "--file", path, "--entry", "CartPole-v0")
    assert merged["settings"] == {"target_update_interval": 2560, "train_freq": 256, "gradient_steps": 128}
    overridden = converted(capsys, "--from", "sb3", "--file", path, "--entry", "CartPole-v1", "gradient_steps=64")
    assert overridden["period"] == 64


def test_without_pyyaml_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dqn.yml"
    path.write_text(DQN_YML)
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert main(["convert", "--from", "sb3", "--file", str(path), "--entry", "CartPole-v1"]) == 2
    assert "pip install 'softstep[yaml]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "library", "entry", "period"),
    [("dqn.gin", GIN, "dopamine", None, 25),
     ("run.toml", "[agent]\ntarget_network_frequency = 1000\ntrain_frequency = 4\n", "cleanrl", None, 250),
     ("run.json", '{"a": {"every": 1}, "b": {"dqn": {"target-network-frequency": 40}}}', "cleanrl", "b.dqn", 4)],
)  # fmt: skip
def test_gin_toml_and_json_files_are_read(
    name: str, text: str, library: str, entry: str | None, period: float, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / name).write_text(text)
    section = ["--entry", entry] if entry else []
    assert converted(capsys, "--from", library, "--file", tmp_path / name, *section)["period"] == period


@pytest.mark.parametrize(
    ("name", "text", "arguments", "message"),
    [("a.yml", DQN_YML, [], "the file has several sections: give --entry, one of atari, CartPole-v1, CartPole-v0"),
     ("a.yml", DQN_YML, ["--entry", "CartPole"], "--entry CartPole is not a section of the file; did you mean"),
     ("a.yml", "a: [", [], "is not valid YAML"), ("a.json", "{", [], "is not valid JSON"),
     ("a.json", "[1]", [], "must hold settings by name"), ("a.toml", "=", [], "is not valid TOML"),
     ("a.ini", "", [], "files of the format 'ini' cannot be read"),
     ("a.yml", "train_freq: [1, episode]", [], "counts episodes")],
)  # fmt: skip
def test_files_that_cannot_be_read_print_one_line(
    name: str, text: str, arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    assert main(["convert", "--from", "sb3", "--file", str(tmp_path / name), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_missing_file_or_an_entry_without_a_file_print_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--file", "/nowhere/dqn.yml"], ["--entry", "CartPole-v1"]):
        assert main(["convert", "--from", "sb3", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_pasted_command_line_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    result = converted(
        capsys, "--from", "cleanrl", "python", "cleanrl/dqn.py", "--env-id", "CartPole-v1", "--track",
        "--target-network-frequency", "1000", "--train-frequency=4",
    )  # fmt: skip
    assert result["settings"] == {"target_network_frequency": 1000, "train_frequency": 4}
    assert result["passed_over"] == ["env-id", "track"]


def test_flags_of_the_command_itself_stay() -> None:
    own = {"--from": True, "--total-steps": True, "--json": False}
    assert pasted_flags(["--from", "sb3", "--json", "--total_steps", "5", "tau=1"], own) == [
        "--from", "sb3", "--json", "--total_steps", "5", "tau=1",
    ]  # fmt: skip
    assert pasted_flags(["--total-step", "5"], own) == ["--total-step", "5"]
    assert pasted_flags(["--gradient-steps", "-1", "--track", "tau=1"], own) == [
        "gradient-steps=-1", "track=true", "tau=1",
    ]  # fmt: skip


def test_the_output_names_what_was_passed_over_and_renamed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "--from", "dopamine", "JaxDQNAgent.update_period=4", "gamma=0.99"]) == 0
    output = capsys.readouterr().out
    assert "JaxDQNAgent.update_period is read as update_period" in output
    assert output.count("passed over, as they do not concern the target: gamma") == 1
