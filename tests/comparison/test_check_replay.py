"""A comparison tries everything that its verdict will need before anything is trained."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import softstep
from softstep.cli.main import main
from softstep.comparison.plan import ComparisonPlan
from softstep.comparison.run_comparison import run_comparison
from softstep.config import Config
from softstep.errors import ConfigError, EnvironmentFailed
from softstep.runs.api import Run
from softstep.target import TargetUpdate

CONFIG = Config(env="CartPole-v1", target=TargetUpdate(0.01), hidden=(8,), total_steps=600, eval_every=300)

TIRED = """
import gymnasium, jax, jax.numpy as jnp
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

class Tired(CartPoleEnv):
    steps = 0

    def step(self, action):
        self.steps += 1
        if self.steps > 1900:
            raise AssertionError
        return super().step(action)

gymnasium.register("Tired-v0", Tired)

def float32_only(key, inputs, outputs):
    def values(observation):
        if observation.dtype != jnp.float32:
            raise TypeError("float32 only")
        return jnp.zeros(outputs) + observation.sum()
    return values
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "tired.py").write_text(TIRED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("tired", None)
    gymnasium.registry.pop("Tired-v0", None)


def never(*_: Any) -> Run:
    raise RuntimeError("training has started")


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"env_modules": ("absent",)}, ConfigError, "No module named 'absent'"),
        ({"env": "Absent-v0"}, ConfigError, "not registered"),
        ({"env": "Tired-v0", "env_modules": ("tired",)}, EnvironmentFailed, "under random actions: AssertionError$"),
        ({"network": "tired:absent"}, ConfigError, "tired has no absent"),
        ({"network": "tired:float32_only"}, ConfigError, "TypeError: float32 only"),
    ],
)
@pytest.mark.parametrize("arms", [("soft", "same-alpha"), ("soft", "best-alpha")])
def test_what_a_verdict_cannot_do_without_is_missed_before_training(
    changes: Mapping[str, Any], kind: type[Exception], words: str, arms: tuple[str, ...], tmp_path: Path
) -> None:
    plan = ComparisonPlan(dataclasses.replace(CONFIG, **changes), arms, margin=1.0, floor=0.0)
    for resume in (None, never):
        with pytest.raises(kind, match=words):
            run_comparison(plan, tmp_path / "out", never, resume)


def test_a_comparison_that_is_resumed_imports_nothing_that_is_not_trusted(tmp_path: Path) -> None:
    plan = ComparisonPlan(dataclasses.replace(CONFIG, env_modules=("tired",)), ("soft",), margin=1.0, floor=0.0)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "comparison.json").write_text(plan.to_json())
    with pytest.raises(ConfigError, match="repeat it with --env-module tired"):
        softstep.resume_comparison(tmp_path / "out")
    assert main(["compare", "--resume", "out"]) == 2
    assert "tired" not in sys.modules
