"""Worker processes as their parent sees them: the early one is taken only where a new one would be the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from softstep.errors import StoreError
from softstep.runs import run_folder, worker_env, worker_process
from softstep.runs.worker_process import WorkerProcess, early_process, take_process

READY = b'{"event": "ready"}\n'


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[WorkerProcess]]:
    """Collect the processes that are started; all must have ended when the test does."""
    started = list[WorkerProcess]()

    class Noted(WorkerProcess):
        def __init__(self, settings: dict[str, str], *, silent: bool = False) -> None:
            super().__init__(settings, silent=silent)
            started.append(self)

    monkeypatch.setattr(worker_process, "WorkerProcess", Noted)
    yield started
    codes = [exit_code(process) for process in started]
    for process in started:
        process.discard()
    assert None not in codes


def exit_code(process: WorkerProcess) -> int | None:
    """Return the exit code of a process without waiting for its end."""
    return process._process.poll()


def test_the_early_process_is_taken_once(processes: list[WorkerProcess]) -> None:
    with early_process():
        first, second = take_process(worker_env.settings()), take_process(worker_env.settings())
        assert processes == [first, second]
    assert first.output.readline() == READY  # it was not ended with the block
    first.kill()
    second.kill()


def test_it_is_ended_if_nobody_takes_it(processes: list[WorkerProcess]) -> None:
    with early_process():
        pass
    assert exit_code(processes[0]) == -signal.SIGKILL


@pytest.mark.parametrize("changed", ["variable", "folder", "settings"])
def test_it_is_not_taken_if_a_new_one_would_differ(
    changed: str, processes: list[WorkerProcess], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with early_process():
        settings = worker_env.settings("gpu" if changed == "settings" else "cpu")
        if changed == "variable":  # as a module of the user may set one
            monkeypatch.setenv("MUJOCO_GL", "egl")
        elif changed == "folder":
            monkeypatch.chdir(tmp_path)
        taken = take_process(settings)
        assert taken is processes[1]
        assert exit_code(processes[0]) == -signal.SIGKILL
    taken.kill()


@pytest.mark.parametrize("taken", [False, True])
def test_what_it_prints_is_kept_until_it_is_taken(
    taken: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "jax.py").write_text("raise ImportError('no JAX here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with early_process():
        (process,) = worker_process._early
        assert process.output.read() == b""  # it has ended
        if taken:
            assert take_process(worker_env.settings()) is process
            process.end(10.0)
            process.discard()
    assert ("no JAX here" in capfd.readouterr().err) == taken


def test_a_process_holds_the_lock_until_it_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "LOCK_PATIENCE", 0.1)
    process = WorkerProcess(worker_env.settings())
    assert process.output.readline() == READY
    with run_folder.locked(tmp_path) as lock:
        process.share(lock)
        process.send({"folder": str(tmp_path), "block": 0, "overlap": True})  # its answer shows that it has the lock
        assert b"no config.json" in process.output.readline()
    with pytest.raises(StoreError, match="being written by another"), run_folder.locked(tmp_path):
        pass
    process.close_input()
    process.end(30.0)
    with run_folder.locked(tmp_path):
        pass
    process.discard()


def test_a_process_whose_parent_shares_no_lock_ends(processes: list[WorkerProcess]) -> None:
    process = take_process(worker_env.settings())
    process.close_input()
    assert process.output.read() == READY
    assert process.wait() == 0


def test_what_is_sent_to_a_process_that_has_ended_is_dropped(tmp_path: Path) -> None:
    process = WorkerProcess(worker_env.settings())
    process.kill()
    with run_folder.locked(tmp_path) as lock:
        process.share(lock)
    process.send({"folder": str(tmp_path), "block": 0, "overlap": True})
    assert process.output.read() == b""  # its output tells that it has ended
    process.discard()


def test_a_command_that_fails_leaves_no_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "softstep", "train", "CartPole-v1", "--learning-rate", "-1"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as command:
        _, errors = command.communicate(timeout=60)
    assert command.returncode == 2
    assert b"learning_rate = -1" in errors
    assert not group_exists(command.pid)


def group_exists(group: int) -> bool:
    """Return whether a process of a process group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
