"""Tests of exported policies: the real runtimes give the same action values."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import stable_baselines3
import torch

import softstep
from softstep.cli.main import main
from softstep.config import Config
from softstep.policies.policy import Policy

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


def test_pytorch_gives_the_same_values(run: Path, expected: np.ndarray, tmp_path: Path) -> None:
    out = softstep.export_policy(run, "torch", tmp_path / "torch", agent=1)
    spec = importlib.util.spec_from_file_location("exported", out / "policy.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    values = module.load()(torch.tensor(OBSERVATIONS)).numpy()
    np.testing.assert_allclose(values, expected, atol=1e-5, rtol=1e-5)


def test_onnx_gives_the_same_values_and_actions(
    run: Path, policy: Policy, expected: np.ndarray, tmp_path: Path
) -> None:
    out = softstep.export_policy(run, "onnx", tmp_path / "policy.onnx", agent=1)
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    values, actions = session.run(["q_values", "action"], {"observation": OBSERVATIONS})
    np.testing.assert_allclose(values, expected, atol=1e-5, rtol=1e-5)
    assert np.mean(actions == [policy(o) for o in OBSERVATIONS]) > 0.998  # ties within rounding error


def test_stable_baselines3_gives_the_same_values_and_continues_training(
    run: Path, expected: np.ndarray, tmp_path: Path
) -> None:
    out = softstep.export_policy(run, "sb3", tmp_path / "policy.zip", agent=1)
    model = stable_baselines3.DQN.load(out, env=stable_baselines3.common.env_util.make_vec_env("CartPole-v1"))
    with torch.no_grad():
        values = model.q_net(torch.tensor(OBSERVATIONS)).numpy()
        np.testing.assert_allclose(
            model.q_net_target(torch.tensor(OBSERVATIONS)).numpy(), expected, atol=1e-5, rtol=1e-5
        )
    np.testing.assert_allclose(values, expected, atol=1e-5, rtol=1e-5)
    actions, _ = model.predict(OBSERVATIONS, deterministic=True)
    assert np.mean(actions == expected.argmax(1)) > 0.998
    model.learn(120)


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
