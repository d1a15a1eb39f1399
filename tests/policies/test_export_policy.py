"""Tests of exported policies: the real runtimes give the same action values."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import stable_baselines3
import torch
from stable_baselines3.common.env_util import make_vec_env
from support import exported_module

import softstep
from softstep import conventions
from softstep.cli.main import main
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.policies import export_sb3
from softstep.policies.exported_policy import ExportedPolicy
from softstep.policies.policy import Policy
from softstep.settings import Arm, Change, Exploration

OBSERVATIONS = np.random.default_rng(0).normal(0, 2, (1000, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "run"
    config = Config(
        env="CartPole-v1",
        total_steps=600,
        learning_starts=100,
        hidden=(16, 8),
        seeds=2,
        block_width=2,
        record_every=300,
    )
    softstep.train(config, path)
    return path


@pytest.fixture(scope="module")
def policy(run: Path) -> Policy:
    return softstep.load(run, 1)


@pytest.fixture(scope="module")
def expected(policy: Policy) -> np.ndarray:
    return np.stack([policy.q_values(o) for o in OBSERVATIONS])


def test_jax_gives_the_same_values_batched_or_not_and_under_transformations(
    run: Path, expected: np.ndarray, tmp_path: Path
) -> None:
    module = exported_module(softstep.export_policy(run, "jax", tmp_path / "jax", agent=1))
    params = module.load()
    np.testing.assert_allclose(module.q_values(params, OBSERVATIONS), expected, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(module.q_values(params, OBSERVATIONS[0]), expected[0], atol=1e-5, rtol=1e-5)
    float64 = OBSERVATIONS.astype(np.float64)
    np.testing.assert_allclose(module.jax.jit(module.q_values)(params, float64), expected, atol=1e-5, rtol=1e-5)
    assert module.q_values(params, float64).dtype == np.float32


def test_pytorch_gives_the_same_values(run: Path, expected: np.ndarray, tmp_path: Path) -> None:
    module = exported_module(softstep.export_policy(run, "torch", tmp_path / "torch", agent=1))
    q_function = module.load()
    values = q_function(torch.tensor(OBSERVATIONS)).numpy()
    np.testing.assert_allclose(values, expected, atol=1e-5, rtol=1e-5)
    single = q_function(torch.tensor(OBSERVATIONS[0])).numpy()
    np.testing.assert_allclose(single, expected[0], atol=1e-5, rtol=1e-5)
    with pytest.raises(RuntimeError, match="dtype"):  # as the how-to says
        q_function(torch.tensor(OBSERVATIONS, dtype=torch.float64))


def test_onnx_gives_the_same_values_and_actions(
    run: Path, policy: Policy, expected: np.ndarray, tmp_path: Path
) -> None:
    out = softstep.export_policy(run, "onnx", tmp_path / "policy.onnx", agent=1)
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    values, actions = session.run(["q_values", "action"], {"observation": OBSERVATIONS})
    np.testing.assert_allclose(values, expected, atol=1e-5, rtol=1e-5)
    assert np.mean(actions == [policy(o) for o in OBSERVATIONS]) > 0.998  # ties within rounding error
    assert (values.dtype, actions.dtype) == (np.float32, np.int64)
    for refused in (OBSERVATIONS.astype(np.float64), OBSERVATIONS[0]):  # as the how-to says
        with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
            session.run(None, {"observation": refused})


def test_onnx_has_names_a_producer_and_metadata(run: Path, tmp_path: Path) -> None:
    model = onnx.load(softstep.export_policy(run, "onnx", tmp_path / "policy.onnx", agent=1))
    names = [node.name for node in model.graph.node]
    assert names == ["linear0", "relu0", "linear1", "relu1", "q_values", "action"]
    assert model.graph.name == "softstep_policy"
    assert (model.producer_name, model.producer_version) == ("softstep", softstep.__version__)
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "env": "CartPole-v1", "seed": "1", "arm": "agent", "gamma": "0.99", "env_steps": "600",
        "softstep_version": softstep.__version__,
    }  # fmt: skip
    types = {output.name: output.type.tensor_type.elem_type for output in model.graph.output}
    assert types == {"q_values": onnx.TensorProto.FLOAT, "action": onnx.TensorProto.INT64}


def test_stable_baselines3_gives_the_same_values_and_continues_training(
    run: Path, expected: np.ndarray, tmp_path: Path
) -> None:
    out = softstep.export_policy(run, "sb3", tmp_path / "policy.zip", agent=1)
    model = stable_baselines3.DQN.load(out, env=make_vec_env("CartPole-v1"))
    with torch.no_grad():
        values = model.q_net(torch.tensor(OBSERVATIONS)).numpy()
        np.testing.assert_allclose(
            model.q_net_target(torch.tensor(OBSERVATIONS)).numpy(), expected, atol=1e-5, rtol=1e-5
        )
    np.testing.assert_allclose(values, expected, atol=1e-5, rtol=1e-5)
    actions, _ = model.predict(OBSERVATIONS, deterministic=True)
    assert np.mean(actions == expected.argmax(1)) > 0.998
    model.learn(120)


# ---- training on in stable-baselines3 ----


def trained_archive(tmp_path: Path, **settings: Any) -> tuple[Any, str]:
    """Train a small run, export it to stable-baselines3 and load it; return the model and the warning, if any."""
    small: dict[str, Any] = {
        "env": "CartPole-v1", "total_steps": 320, "learning_starts": 100, "hidden": (8,), "record_every": 320,
    }  # fmt: skip
    softstep.train(Config(**(small | settings)), tmp_path / "run")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out = softstep.export_policy(tmp_path / "run", "sb3", tmp_path / "policy.zip")
    messages = [str(w.message) for w in caught if "stable-baselines3 continues" in str(w.message)]
    env = make_vec_env("CartPole-v1", settings.get("num_envs", 1), seed=0)
    model: Any = stable_baselines3.DQN.load(out, env=env, device="cpu")
    assert model.softstep_differences == "".join(messages)
    return model, "".join(messages)


def test_the_archive_has_the_settings_of_the_run(tmp_path: Path) -> None:
    model, differences = trained_archive(
        tmp_path, target=softstep.TargetUpdate(0.01, 2), train_every=4, learning_rate=2e-3, gamma=0.97, batch_size=16,
        memory_size=5_000, loss="huber", exploration=Exploration(end=0.1, steps=200), optimizer_options={"eps": 1e-5},
        time_limit_is_terminal=True,
    )  # fmt: skip
    assert differences == ""
    assert (model.tau, model.target_update_interval) == (0.01, 8)  # 2 gradient steps, 4 environment steps apart
    assert (model.train_freq.frequency, model.gradient_steps) == (4, 1)
    assert (model.learning_rate, model.gamma, model.batch_size) == (2e-3, 0.97, 16)
    assert (model.buffer_size, model.learning_starts, model.max_grad_norm) == (5_000, 100, math.inf)
    assert [model.exploration_schedule(p) for p in (1.0, 0.5, 0.0)] == [0.1, 0.1, 0.1]
    (group,) = model.policy.optimizer.param_groups
    assert (group["eps"], group["betas"], group["lr"]) == (1e-5, (0.9, 0.999), 2e-3)
    assert not model.replay_buffer.handle_timeout_termination


def exported(env_steps: int = 100_000, **settings: Any) -> ExportedPolicy:
    """Return an export of a run with these settings, without networks."""
    config = Config(**({"loss": "huber"} | settings))
    policy: Any = SimpleNamespace(agent=config.agents()[0])
    return ExportedPolicy(policy, [], config, env_steps)


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        ({}, ""),
        ({"exploration": Exploration("geometric")}, "ε is constant"),
        ({"arms": (Arm("blended", blended=True),)}, "instead of being blended"),
        ({"num_envs": 4}, "one environment unless loaded with 4"),
        ({"optimizer_options": {"eps_root": 1e-9}}, "optimizer has no eps_root"),
        ({"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}}, ""),
    ],
    ids=str,
)
def test_only_what_differs_is_reported(settings: dict[str, Any], difference: str) -> None:
    reported = export_sb3.differences(exported(**settings))
    assert (difference in reported) if difference else (reported == "")


@pytest.mark.parametrize("num_envs", [1, 4])
@pytest.mark.parametrize("update", [(0.005, 1), (0.1, 3), (1.0, 250)], ids=str)
def test_the_exported_target_update_reads_back_as_the_run_s(num_envs: int, update: tuple[float, int]) -> None:
    rule = softstep.TargetUpdate(*update)
    settings = export_sb3.dqn_settings(exported(target=rule, num_envs=num_envs, train_every=4))
    names = ("tau", "target_update_interval", "train_freq", "gradient_steps")
    meaning = conventions.read("sb3", {name: settings[name] for name in names} | {"n_envs": num_envs})
    assert (meaning.tau, meaning.period) == (rule.tau, rule.period)
    assert meaning.env_steps_per_gradient_step == 4


@pytest.mark.parametrize("change", [False, True])
def test_a_harmonic_target_is_refused_in_one_line(change: bool) -> None:
    harmonic = softstep.TargetUpdate.harmonic(0.99)
    of_run = exported(target=harmonic)
    if change:
        of_run.policy.agent = dataclasses.replace(exported().policy.agent, target=harmonic)
    with pytest.raises(ConfigError, match=r"it is harmonic.*use torch, onnx or jax") as error:
        export_sb3.dqn_settings(of_run)
    assert "\n" not in str(error.value)


def test_settings_changed_during_the_run_are_exported_as_they_were_at_its_end(tmp_path: Path) -> None:
    later = Change(160, learning_rate=5e-4, target=softstep.TargetUpdate.hard(25))
    model, _ = trained_archive(tmp_path, changes=(later, Change(10_000, learning_rate=1.0)))
    assert (model.tau, model.target_update_interval, model.learning_rate) == (1.0, 100, 5e-4)


def test_what_stable_baselines3_cannot_express_is_one_line_in_a_warning_and_in_the_archive(tmp_path: Path) -> None:
    model, differences = trained_archive(
        tmp_path, double_q=True, optimizer="rmsprop", reward_scale=0.1, max_grad_norm=2.0,
        learning_rate_decay=0.5, learning_rate_decay_steps=640,
    )  # fmt: skip
    assert "\n" not in differences
    for difference in (
        "Huber's with threshold 1, not mse", "no double Q-learning", "Adam, not rmsprop", "not scaled by 0.1",
        "learning rate stays", "ε falls over the whole of learn(), not over 29680 steps",
    ):  # fmt: skip
        assert difference in differences
    assert model.max_grad_norm == 2.0
    assert model.learning_rate == pytest.approx(1e-3 * 0.75)  # half of the decay to 0.5
    start = 1 - 0.98 * 320 / 30_000
    assert [model.exploration_schedule(p) for p in (1.0, 0.0)] == pytest.approx([start, 0.02], abs=1e-6)


@pytest.mark.parametrize("num_envs", [1, 4])
def test_training_on_updates_the_target_as_the_run_did(num_envs: int, tmp_path: Path) -> None:
    """At equal pace, T moves a fraction τ towards Q once per gradient step, in stable-baselines3 just before it."""
    model, _ = trained_archive(
        tmp_path, target=softstep.TargetUpdate(0.05), train_every=4, num_envs=num_envs, learning_starts=40, batch_size=8
    )

    def vector(network: Any) -> np.ndarray:
        return torch.nn.utils.parameters_to_vector(network.parameters()).detach().numpy().copy()

    online, expected = [vector(model.q_net)], vector(model.q_net_target)
    model.policy.optimizer.register_step_post_hook(lambda *_: online.append(vector(model.q_net)))
    model.learn(400)
    assert len(online) - 1 == (400 - 40) / 4  # gradient steps
    for q in online[:-1]:
        expected = expected + np.float32(0.05) * (q - expected)
    np.testing.assert_allclose(vector(model.q_net_target), expected, rtol=1e-4, atol=1e-6)


def test_the_command_prints_what_the_archive_cannot_express_apart_from_the_path(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), "--to", "sb3", "--out", str(tmp_path / "agent.zip")]) == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == str(tmp_path / "agent.zip")
    assert "its loss is Huber's with threshold 1, not mse" in printed.err


def test_the_command_writes_into_the_run_folder_and_overwrites_nothing(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), "--to", "onnx"]) == 0
    assert (run / "policy-0.onnx").is_file()
    assert capsys.readouterr().out.strip() == str(run / "policy-0.onnx")
    assert main(["export", str(run), "--to", "onnx"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["export", str(run), "--to", "torch", "--agent", "7"]) == 2
    assert "agents 0 to 1" in capsys.readouterr().err
    assert main(["export", str(run / "nothing"), "--to", "torch"]) == 2


MISSING = """
import sys
sys.modules[sys.argv[2]] = None
from softstep.cli.main import main
raise SystemExit(main(["export", sys.argv[1], "--to", sys.argv[3], "--out", sys.argv[4]]))
"""


@pytest.mark.parametrize(("module", "to"), [("onnx", "onnx"), ("stable_baselines3", "sb3")])
def test_a_missing_extra_is_reported_with_the_install_command(run: Path, module: str, to: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", MISSING, str(run), module, to, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"pip install 'softstep[{to}]'" in done.stderr
    assert not (tmp_path / "out").exists()
