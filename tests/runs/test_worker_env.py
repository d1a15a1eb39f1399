"""How processes of ours start."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from softstep.runs import worker_env


@pytest.fixture
def told(tmp_path: Path) -> str:
    """What a module says when it is run as a process of ours, from a folder that holds a module of the same name."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "telling.py").write_text(
        "import gc\nprint(__name__, gc.isenabled(), gc.get_threshold()[0])\n"
    )
    (tmp_path / "telling.py").write_text("print('the wrong one')\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "modules")}
    done = subprocess.run(
        worker_env.command("telling"), cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_garbage_is_looked_for_but_seldom(told: str) -> None:
    name, enabled, threshold = told.split()
    assert (name, enabled) == ("__main__", "True")
    assert int(threshold) > 10_000


def test_nothing_is_imported_from_the_folder_it_is_started_in(told: str) -> None:
    assert "wrong" not in told


def test_a_worker_uses_one_thread_whatever_the_environment_says() -> None:
    settings = os.environ | {"NPROC": "8"} | worker_env.settings(overlap=False)
    assert settings["NPROC"] == settings["OMP_NUM_THREADS"] == "1"
