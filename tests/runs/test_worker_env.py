"""The start of worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from softstep.runs import worker_env


@pytest.fixture
def output(tmp_path: Path) -> str:
    """Run a module as a worker process, from a folder with a module of the same name, and return its output."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "reporting.py").write_text(
        "import gc\nprint(__name__, gc.isenabled(), gc.get_threshold()[0])\n"
    )
    (tmp_path / "reporting.py").write_text("print('the wrong module')\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "modules")}
    result = subprocess.run(
        worker_env.command("reporting"), cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_garbage_is_collected_rarely(output: str) -> None:
    name, enabled, threshold = output.split()
    assert (name, enabled) == ("__main__", "True")
    assert int(threshold) > 10_000


def test_modules_in_the_working_directory_are_not_imported(output: str) -> None:
    assert "wrong" not in output


def test_a_worker_uses_one_thread_whatever_the_environment_says() -> None:
    settings = os.environ | {"NPROC": "8"} | worker_env.settings()
    assert settings["NPROC"] == settings["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(
    ("cores", "workers", "may"), [(1, 1, False), (2, 1, True), (2, 2, False), (8, 4, True), (8, 5, False)]
)
def test_workers_compute_in_a_second_thread_where_every_thread_has_a_core(
    cores: int, workers: int, may: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_env, "cores", lambda: cores)
    assert worker_env.may_overlap(workers) == may


COMPUTE = """
import sys
import jax, jax.numpy as jnp
from softstep.jax_settings.dispatch import set_dispatch
set_dispatch(overlap=sys.argv[-1] == "True")
square = jax.jit(lambda a: jax.lax.fori_loop(0, 10, lambda _, b: b @ a, a))
numbers = jnp.zeros((1000, 1000))
square(numbers).block_until_ready()
print(square(numbers).is_ready())
"""


@pytest.mark.parametrize("overlap", [False, True])
def test_a_call_returns_before_its_result_is_computed_only_if_that_may_overlap(overlap: bool, tmp_path: Path) -> None:
    (tmp_path / "computing.py").write_text(COMPUTE)
    environment = os.environ | worker_env.settings() | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [*worker_env.command("computing"), str(overlap)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == str(not overlap)
