"""Commands that import a module beside the user: each finds what `train` has found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest

from softstep.cli.main import main

LINE = """
import gymnasium
import numpy as np

class Line(gymnasium.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = gymnasium.spaces.Box(-10, 10, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def _observe(self):
        return np.array([self.at, self.goal], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.goal = 0, int(self.np_random.integers(2, 6))
        return self._observe(), {}

    def step(self, action):
        self.at += 2 * int(action) - 1
        return self._observe(), -0.1, self.at == self.goal, False, {}

    def render(self):
        return np.zeros((40, 40, 3), np.uint8)

gymnasium.register("Line-v0", Line, max_episode_steps=30)
"""
MODULE = ["--env-module", "line_env"]
TINY = ["--total-steps", "600", "--learning-starts", "100", "--batch-size", "16", "--hidden", "8"]
STUDY = """
env = "Line-v0"
margin = 0.5
floor = -3.0
[base]
env_modules = ["line_env"]
total_steps = 600
learning_starts = 100
eval_every = 300
[axes]
c = [0.0, 0.9]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with the module, and with files that are called like modules of Python and of the package."""
    (tmp_path / "line_env.py").write_text(LINE)
    for name in ("random", "numpy", "config", "errors"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong module')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])  # as the `softstep` command starts
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path
    sys.modules.pop("line_env", None)
    gymnasium.registry.pop("Line-v0", None)


def forget(folder: Path) -> None:
    """Forget the module, as a new process does."""
    sys.modules.pop("line_env", None)
    gymnasium.registry.pop("Line-v0", None)
    sys.path[:] = [entry for entry in sys.path if entry != str(folder)]


def test_eval_watch_and_export_find_what_train_has_found(folder: Path) -> None:
    assert main(["train", "Line-v0", *MODULE, *TINY, "--out", "run", "--json", "--log", "none"]) == 0
    assert json.loads((folder / "run" / "registration.json").read_text())["entry_point"] == "line_env:Line"
    for command in (
        ["eval", "run", "--episodes", "2"], ["watch", "run"], ["export", "run", "--to", "jax"],
        ["train", "--resume", "run", "--json"],
    ):  # fmt: skip
        forget(folder)
        assert main([*command, *MODULE]) == 0
        assert main(command) == 2, "nothing is imported that is not named"


def softstep(*arguments: str) -> None:
    """Run the command as its console script does, which does not put the working directory on the path."""
    start = "import sys; from softstep.cli.main import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-P", "-c", start, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.heavy
def test_compare_and_study_find_what_train_has_found(folder: Path) -> None:
    criteria = ["--margin", "0.5", "--floor", "-3", "--eval-every", "300", "--eval-episodes", "2", "--seeds", "1"]
    softstep("compare", "Line-v0", *MODULE, *TINY, *criteria, "--arms", "soft,same-alpha", "--out", "compared")
    for file in ("verdict.json", "report.html"):
        (folder / "compared" / file).unlink()
    softstep("compare", "--resume", "compared", *MODULE)
    assert (folder / "compared" / "verdict.json").exists()
    assert (folder / "compared" / "report.html").exists()
    (folder / "study.toml").write_text(STUDY)
    softstep("study", "run", "study.toml", *MODULE, "--dry-run")
    softstep("study", "run", "study.toml", *MODULE, "--out", "studied")
    assert (folder / "studied" / "report.html").exists()
