"""Real signals to real processes, and environments that use the process as if it were theirs."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softstep.cli.main import main
from softstep.config import Config
from softstep.runs import checkpoints, run_folder
from softstep.runs.run_folder import RunFolder

HERE = Path(__file__).parent
SMALL = ["--learning-starts", "20", "--memory-size", "1000", "--hidden", "8"]
MODULE = ["--env-module", "stopping_envs"]
LONG = ["--total-steps", "100000", "--record-every", "50000", "--checkpoint-every", "50000", *SMALL, *MODULE]
SECONDS_TO_STOP = 20.0
"""The promise is 3 s on a machine that does nothing else; that nothing is waited for shows in what is saved."""


def start(*arguments: str, cwd: Path, **more: Any) -> subprocess.Popen[str]:
    """Start the command in a process group of its own and with the signals' own effects, as a shell does."""
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path} | more.pop("env", {})
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    command = [sys.executable, "-m", "softstep", *arguments]
    return subprocess.Popen(
        command, cwd=cwd, env=environment, start_new_session=True, text=True, preexec_fn=_restore_signals, **streams
    )


def _restore_signals() -> None:
    """Undo what a background job or `nohup` ignores."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def wait_until_training(process: subprocess.Popen[str]) -> None:
    """Read the JSON lines of a command until an environment step is made."""
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)
        if message["kind"] == "progress" and message["agent_steps"] > 0:
            return
    raise AssertionError(process.stderr and process.stderr.read())


def stop(process: subprocess.Popen[str], *signals: signal.Signals, pause: float = 0.0) -> tuple[str, str]:
    """Send signals to the whole group, and return what it prints until it has ended; it must end in seconds."""
    started = time.monotonic()
    for number in signals:
        os.killpg(process.pid, number)
        time.sleep(pause)
    try:
        printed, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert time.monotonic() - started < SECONDS_TO_STOP + pause * len(signals)
    assert "Traceback" not in errors
    return printed, errors


def steps_saved(folder: Path) -> int:
    (steps,) = checkpoints.steps_reached(run_folder.open_run(folder))
    return steps


# ---- stops ----


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ([signal.SIGTERM], 143),
        pytest.param([signal.SIGHUP, signal.SIGCONT, signal.SIGTERM], 129, marks=pytest.mark.heavy),
        ([signal.SIGINT, signal.SIGTERM, signal.SIGTERM, signal.SIGHUP], 130),
    ],
    ids=["kill or timeout", "a closed terminal", "several at once"],
)
def test_a_signal_to_the_group_saves_the_moment_of_the_stop(
    tmp_path: Path, signals: list[signal.Signals], code: int
) -> None:
    process = start("train", "SlowAndMortal-v0", *LONG, "--train-every", "2", "--json", "--out", "run", cwd=tmp_path)
    wait_until_training(process)
    printed, errors = stop(process, *signals, pause=0.05)  # signals at once may arrive in another order
    assert process.returncode == code
    saved = steps_saved(tmp_path / "run")
    assert saved >= 2
    name = signal.Signals(code - 128).name
    assert f"stopped by {name}: saved at environment step {saved} of 100000; continue with" in errors
    progress = [json.loads(line) for line in printed.splitlines() if '"progress"' in line]
    assert all(p["agent_steps"] < p["total_agent_steps"] == 100_000 for p in progress)
    assert json.loads(printed.splitlines()[-1])["finished"] is False


def test_a_stop_does_not_wait_for_a_long_iteration(tmp_path: Path) -> None:
    """The second iteration would take three minutes, so that the stop comes within it on any machine.

    The first takes a second: after a fast one, none is expected to be slow.
    """
    process = start("train", "SlowFromFifthStep-v0", *LONG, "--json", "--out", "run", cwd=tmp_path)
    wait_until_training(process)
    time.sleep(0.5)
    stop(process, signal.SIGTERM)
    assert process.returncode == 143
    assert steps_saved(tmp_path / "run") == 4


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until the condition holds, while the process runs."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_a_stop_does_not_wait_for_an_evaluation(tmp_path: Path) -> None:
    arguments = [*LONG, "--eval-every", "400", "--eval-episodes", "50", "--json", "--out", "run"]
    process = start("train", "SlowToEvaluate-v0", *arguments, cwd=tmp_path)
    wait_until_training(process)
    (tmp_path / "training").touch()
    wait_for((tmp_path / "evaluating").exists, process)
    time.sleep(3)
    stop(process, signal.SIGTERM)
    assert process.returncode == 143
    saved = steps_saved(tmp_path / "run")
    assert saved > 0
    assert saved % 400 == 0  # the evaluation is abandoned, the steps before it are not


@pytest.mark.parametrize(
    ("env", "seconds"),
    [
        ("CartPole-v1", 0.7),
        ("SlowToMake-v0", 4.0),
        *(pytest.param("CartPole-v1", n / 4, marks=pytest.mark.heavy) for n in range(1, 20)),
    ],
)
def test_a_signal_before_the_first_step_leaves_nothing(tmp_path: Path, env: str, seconds: float) -> None:
    arguments = ["train", env, *LONG, "--out", "run"]
    process = start(*arguments, cwd=tmp_path)
    time.sleep(seconds)
    _, errors = stop(process, signal.SIGINT)
    if process.returncode == -signal.SIGINT:
        return  # Python itself had not started yet
    assert process.returncode == 130
    assert "stopped by SIGINT" in errors
    assert len(errors.splitlines()) == 1 or (tmp_path / "run").exists()
    if (tmp_path / "run").exists():  # a fast machine
        assert env == "CartPole-v1"
        assert steps_saved(tmp_path / "run") > 0


def test_a_replaced_run_comes_back_if_the_new_one_is_stopped_before_its_first_step(tmp_path: Path) -> None:
    assert main(["train", "CartPole-v1", "--total-steps", "100", *SMALL, "--out", str(tmp_path / "run")]) == 0
    before = (tmp_path / "run" / "config.json").read_bytes()
    process = start("train", "SlowToMake-v0", *LONG, "--out", "run", "--force", cwd=tmp_path)
    while not (tmp_path / ".run.replaced").exists():
        assert process.poll() is None
        time.sleep(0.01)
    stop(process, signal.SIGTERM)
    assert process.returncode == 143
    assert (tmp_path / "run" / "config.json").read_bytes() == before
    assert steps_saved(tmp_path / "run") == 100


def test_a_later_second_signal_ends_at_once_and_keeps_the_checkpoints(tmp_path: Path) -> None:
    """The workers are frozen, as by an environment whose step does not return."""
    process = start(
        "train", "Slow-v0", *LONG, "--seeds", "2", "--checkpoint-every", "2", "--train-every", "2", "--json",
        "--out", "run", cwd=tmp_path, env={"SLOW_SECONDS": "0.05"},
    )  # fmt: skip
    wait_until_training(process)
    while not list((tmp_path / "run").glob("checkpoint-*")):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGSTOP)
    os.kill(process.pid, signal.SIGCONT)  # the parent alone
    saved = steps_saved(tmp_path / "run")
    _, errors = stop(process, signal.SIGTERM, signal.SIGINT, pause=1.3)
    assert process.returncode == 143
    assert f"saved at environment step {saved} of 100000; continue with: softstep train --resume" in errors
    assert subprocess.run(["pgrep", "-g", str(process.pid)], capture_output=True).stdout == b""


STUDY = """
env = "Slow-v0"
margin = 1.0
floor = 0.0
[base]
env_modules = ["stopping_envs"]
total_steps = 10_000
learning_starts = 10
hidden = [8]
[axes]
learning_rate = [1e-3, 1e-2]
[seeds]
count = 2
selection = 1
"""


@pytest.mark.heavy
def test_a_study_and_a_comparison_are_stopped_alike(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(STUDY)
    study = start("study", "run", "map.toml", *MODULE, "--json", "--out", "map", cwd=tmp_path)
    wait_until_training(study)
    _, errors = stop(study, signal.SIGHUP)
    assert study.returncode == 129
    assert "0 of 4 agents are finished" in errors
    assert "continue with: softstep study run map.toml --out map --resume" in errors
    arguments = [*LONG, "--margin", "1", "--floor", "0", "--seeds", "2", "--json", "--out", "versus"]
    arms, quicker = ("--arms", "soft,best-alpha"), {"SLOW_SECONDS": "0.01"}  # a comparison begins with 2 000 steps
    comparison = start("compare", "Slow-v0", *arguments, *arms, cwd=tmp_path, env=quicker)
    wait_until_training(comparison)
    _, errors = stop(comparison, signal.SIGTERM)
    assert comparison.returncode == 143
    assert "continue with: softstep compare --resume versus" in errors


SCRIPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs begin without it
import jax, softstep, sys
from softstep.runs.api import SilentView
jax.devices()  # so that softstep trains in this process

class View(SilentView):
    def update(self, block, progress):
        print(progress.env_steps, flush=True)

softstep.train(softstep.Config.from_json(sys.argv[1]), sys.argv[2], view=View())
"""


def test_ctrl_c_in_a_script_that_trains_in_its_own_process_saves(tmp_path: Path) -> None:
    config = {"env": "Slow-v0", "env_modules": ["stopping_envs"], "total_steps": 10_000, "hidden": [8]}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(config), str(tmp_path / "run")],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "4\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=2 * SECONDS_TO_STOP)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert steps_saved(tmp_path / "run") > 0


# ---- what belongs to the process ----


def train(env: str, folder: Path, *more: str) -> tuple[int, str]:
    """Train for 200 steps; return the exit code and what was printed as errors."""
    process = start("train", env, "--total-steps", "200", *SMALL, *MODULE, "--json", "--out", "run", *more, cwd=folder)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


@pytest.mark.parametrize(("env", "error"), [("Asks-v0", "EOFError"), ("Debugs-v0", "BdbQuit")])
def test_an_environment_that_asks_gets_the_end_of_the_input_at_once(tmp_path: Path, env: str, error: str) -> None:
    process = start("train", env, *LONG, "--out", "run", cwd=tmp_path, stdin=subprocess.PIPE)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (1, 2)  # at a step of the run, or of the trial before it
    assert error in errors


def test_an_environment_may_read_an_empty_input(tmp_path: Path) -> None:
    assert train("ReadsLine-v0", tmp_path)[0] == 0


@pytest.mark.parametrize(
    "env", ["ThreadLeft-v0", "ForkLeft-v0", pytest.param("ProgramLeft-v0", marks=pytest.mark.heavy)]
)
def test_what_an_environment_leaves_costs_seconds_and_holds_no_lock(tmp_path: Path, env: str) -> None:
    log = (tmp_path / "log").open("w")
    arguments = ["--total-steps", "200", *SMALL, *MODULE, "--out", "run"]
    process = start("train", env, *arguments, cwd=tmp_path, stdout=log, stderr=log)
    try:
        while not (tmp_path / "run" / "summary.json").exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        assert process.wait(timeout=SECONDS_TO_STOP) == 0
        evaluation = start(
            "eval", "run", "--episodes", "1", *MODULE, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=log
        )
        assert evaluation.wait(timeout=60) == 0
        with run_folder.locked(tmp_path / "run"):
            pass
        again = ["train", "CartPole-v1", "--total-steps", "100", *SMALL, "--out", str(tmp_path / "run"), "--force"]
        assert main(again) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_the_workers_of_a_killed_parent_keep_the_lock_and_save(tmp_path: Path) -> None:
    process = start("train", "Slow-v0", *LONG, "--json", "--out", "run", cwd=tmp_path)
    wait_until_training(process)
    process.kill()
    process.communicate()
    with run_folder.locked(tmp_path / "run"):
        assert steps_saved(tmp_path / "run") > 0


def test_signals_still_end_what_an_environment_has_started(tmp_path: Path) -> None:
    assert train("EndsItsChildren-v0", tmp_path)[0] == 0


def test_an_environment_may_change_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("Moves-v0", tmp_path, "--log", "tensorboard")[0] == 0
    monkeypatch.syspath_prepend(str(HERE))
    for command in (["eval", "run", "--episodes", "2"], ["export", "run", "--to", "jax", "--out", "policy"]):
        monkeypatch.chdir(tmp_path)
        assert main([*command, *MODULE]) == 0, capsys.readouterr().err
    assert (tmp_path / "policy" / "policy.py").exists()
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_what_an_environment_prints_is_shown_and_harms_nothing(tmp_path: Path) -> None:
    code, errors = train("Prints-v0", tmp_path)
    assert code == 0
    for text in ('{"event": "done"} from print', "from descriptor 1", "from standard error"):
        assert errors.count(f"{text}\n") >= 200 // 7


def test_what_an_environment_prints_stands_in_lines_of_its_own_above_the_bar(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    arguments = ["train", "Prints-v0", "--total-steps", "400", *SMALL, *MODULE, "--out", "run"]
    process = start(*arguments, cwd=tmp_path, stderr=theirs, env={"TERM": "xterm", "COLUMNS": "80"})
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 10_000)
        except OSError:  # the other end is closed
            break
        shown += chunk
        if not chunk:
            break
    process.communicate(timeout=60)
    assert process.returncode == 0
    lines = shown.decode().replace("\r", "\n").split("\n")
    texts = [line for line in lines if "from standard error" in line]
    assert len(texts) >= 400 // 7
    assert not [line for line in texts if "agent-steps" in line]
    assert "agent-steps/s" in shown.decode()


def test_a_run_folder_knows_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(Path("run"), Config())
    monkeypatch.chdir("/")
    assert folder.path == tmp_path / "run"
