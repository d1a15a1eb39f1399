"""Logging real runs: what a sink hears of them, what they remember, and that no sink changes a bit of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import small

import softstep
import softstep.runs.api
import softstep.runs.logged
from softstep.cli.main import main, parse
from softstep.cli.train import Train
from softstep.errors import ConfigError, EnvironmentFailed
from softstep.records import LoggedRun, Record
from softstep.records.events import Outcome
from softstep.runs import checkpoints
from softstep.runs.api import Run
from softstep.runs.logged import LOGGED_FILE
from softstep.runs.run_folder import RunFolder
from softstep.runs.worker_pool import RunView
from softstep.settings import Arm
from softstep.trackers import names, scalars
from softstep.worker.in_process import run_blocks_here

CONFIG = small(total_steps=300, seeds=2, arms=(Arm("soft"), Arm("small", learning_rate=1e-4)))


class Tape:
    """A sink that keeps what it hears, and raises in one of its calls."""

    def __init__(self, fails_at: str = "") -> None:
        self._fails_at = fails_at
        self.runs: list[LoggedRun] = []
        self.records: list[Record] = []
        self.endings: list[str] = []

    def _fail(self, call: str) -> None:
        if call == self._fails_at:
            raise OSError(f"the tracker failed at its {call}")

    def start(self, run: LoggedRun) -> None:
        self._fail("start")
        self.runs.append(run)

    def write(self, records: Sequence[Record]) -> None:
        self._fail("write")
        self.records += records

    def finish(self, ending: str) -> None:
        self._fail("finish")
        self.endings.append(ending)


def train(out: Path, log: names.Log | None = None, calls: int = 10_000) -> Run:
    """Train to the end, or until the question whether to stop has been asked `calls` times."""
    asked = iter([False] * calls)
    return softstep.runs.api.train(CONFIG, out, execute=run_blocks_here, log=log, should_stop=lambda: next(asked, True))


def resume(run: Run, log: names.Log | None = None) -> Run:
    return softstep.runs.api.resume(run.path, execute=run_blocks_here, log=log)


def contents(run: Run) -> dict[str, bytes]:
    """Return the run's tables, and everything in its newest checkpoints, as bytes."""
    found = {name: (run.path / name).read_bytes() for name in ("curves.parquet", "episodes.parquet")}
    for block in range(len(run.config.blocks())):
        checkpoint = checkpoints.read_checkpoint(run.folder, block, with_replay=True)
        assert checkpoint is not None
        found |= {f"{block} {name}": array.tobytes() for name, array in checkpoint.arrays.items()}
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that is not logged."""
    return train(tmp_path_factory.mktemp("plain") / "run")


def test_a_sink_hears_every_row_of_the_curves(plain: Run, tmp_path: Path) -> None:
    tape = Tape()
    run = train(tmp_path / "run", [tape])
    assert contents(run) == contents(plain)
    rows = {(row["arm"], row["seed"], row["env_steps"]): row for row in run.curves.to_dicts()}
    assert len(tape.records) == len(rows) == 12
    for record in tape.records:
        row = rows[record.arm, record.seed, record.env_steps]
        for tag, value in scalars.scalars(record).items():
            column = next(column for column, name in scalars.TAGS.items() if name == tag)
            assert np.float32(row[column]) == np.float32(value)
    (heard,) = tape.runs
    assert (heard.path, heard.settings["total_steps"]) == (run.path, 300)
    assert [(agent.name, agent.env_steps) for agent in heard.agents] == [
        ("soft/seed-0", 0), ("soft/seed-1", 0), ("small/seed-0", 0), ("small/seed-1", 0),
    ]  # fmt: skip
    assert [agent.learning_rate for agent in heard.agents[1:3]] == [CONFIG.learning_rate, 1e-4]
    assert tape.endings == ["finished"]


def test_failing_sinks_change_no_bit_and_give_one_warning_each(plain: Run, tmp_path: Path) -> None:
    good = Tape()
    with pytest.warns(RuntimeWarning, match="Tape has failed") as caught:
        run = train(tmp_path / "run", [Tape("start"), Tape("write"), Tape("finish"), good, "tensorboard"])
    messages = [str(warning.message) for warning in caught if "Tape" in str(warning.message)]
    assert sorted(re.findall(r"failed at its (\w+)", " ".join(messages))) == ["finish", "start", "write"]
    assert len(messages) == 3
    assert contents(run) == contents(plain)
    assert run.summary["finished"]
    assert len(good.records) == 12
    assert len(list((run.path / "tensorboard").glob("*/seed-*/events*"))) == 4


def test_a_resumed_run_is_known_again_and_continues_where_it_was(plain: Run, tmp_path: Path) -> None:
    first, second = Tape(), Tape()
    stopped = train(tmp_path / "run", [first, "tensorboard"], calls=3)
    assert first.endings == ["stopped"]
    finished = resume(stopped, [second])
    assert second.endings == ["finished"]
    assert contents(finished)["curves.parquet"] == contents(plain)["curves.parquet"]
    assert [run.id for run in first.runs] == [run.id for run in second.runs]
    assert re.fullmatch("[0-9a-f]{8}", second.runs[0].id)
    reached = {agent.env_steps for agent in second.runs[0].agents}
    assert 0 < max(reached) < 300
    steps = [(r.arm, r.seed, r.env_steps) for r in [*first.records, *second.records]]
    assert len(steps) == len(set(steps)) == 12


# ---- without training ----


def row(env_steps: int) -> dict[str, Any]:
    """Return a row of the first agent's curve as a worker sends it."""
    return {**dict.fromkeys(Record._fields, 0.5), "arm": "soft", "seed": 0, "env_steps": env_steps, "diverged": False}


def untrained(path: Path, log: names.Log | None = None, start: bool = True) -> Run:
    """Start or continue a run that sends one record per block and stops."""

    def execute(run: RunFolder, lock: int, view: RunView, **_: Any) -> list[Outcome | None]:
        view.records(0, [row(100)])
        return [Outcome(0, 0, (), stopped=True, train_seconds=0.0, eval_seconds=0.0) for _ in run.config.blocks()]

    if start:
        return softstep.runs.api.train(CONFIG, path, execute=execute, log=log)
    return softstep.runs.api.resume(path, execute=execute, log=log)


def test_two_runs_are_two_for_a_tracker(tmp_path: Path) -> None:
    tape = Tape()
    for name in ("one", "two"):
        untrained(tmp_path / name, [tape])
    assert len({run.id for run in tape.runs}) == 2
    assert all(run.name == f"{run.path.name}-{run.id}" for run in tape.runs)


def test_a_continued_run_goes_on_where_it_was_logged(tmp_path: Path) -> None:
    run, expected = untrained(tmp_path / "run", ["tensorboard", Tape()]), 1
    for log, new in ((None, 1), ((), 0), (None, 0), (("tensorboard",), 1), (None, 1)):
        untrained(run.path, log, start=False)
        expected += new
        assert len(list((run.path / "tensorboard").glob("soft/seed-0/events*"))) == expected


def test_a_run_of_an_earlier_version_goes_on_in_its_tensorboard(tmp_path: Path) -> None:
    run = untrained(tmp_path / "run", ["tensorboard"])
    (run.path / LOGGED_FILE).unlink()
    untrained(run.path, start=False)
    assert len(list((run.path / "tensorboard").glob("soft/seed-0/events*"))) == 2


def test_without_a_log_nothing_is_written(plain: Run) -> None:
    assert not (plain.path / LOGGED_FILE).exists()
    assert not (plain.path / "tensorboard").exists()
    with pytest.raises(ConfigError, match="is not one of tensorboard, wandb, mlflow"):
        resume(plain, ["tb"])


def test_an_unknown_name_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not one of tensorboard, wandb, mlflow"):
        untrained(tmp_path / "run", ["tb"])
    assert not (tmp_path / "run").exists()


def test_a_failed_run_ends_as_failed_and_an_interrupted_one_as_stopped(tmp_path: Path) -> None:
    for error, kind, ending in (
        (EnvironmentFailed("x"), EnvironmentFailed, "failed"),
        (None, KeyboardInterrupt, "stopped"),
    ):

        def execute(*_: object, **__: object) -> list[None]:
            raise error or KeyboardInterrupt  # noqa: B023

        tape = Tape()
        with pytest.raises(kind):
            softstep.runs.api.train(CONFIG, tmp_path / ending, execute=execute, log=[tape])
        assert tape.endings == [ending]


def test_a_tracker_with_a_server_receives_a_part_of_a_large_population(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scalars, "MOST_AGENTS", 3)
    monkeypatch.setattr(softstep.runs.logged, "MOST_AGENTS", 3)
    tape = Tape()
    monkeypatch.setitem(names.SINKS, "mlflow", lambda: tape)
    monkeypatch.setattr(names, "LIBRARIES", {"mlflow": ("json",)})
    monkeypatch.setattr(softstep.runs.logged, "LIBRARIES", {"mlflow": ("json",)})
    with pytest.warns(RuntimeWarning, match="mlflow receives 3 of the 4 agents, the first seeds of every arm"):
        untrained(tmp_path / "run", ["mlflow"])


# ---- the command ----

COMMAND = ["train", "CartPole-v1", "--total-steps", "200", "--learning-starts", "50", "--hidden", "8", "--workers", "1"]


@pytest.mark.parametrize(
    ("words", "logged"),
    [
        ([], None),
        (["--log", "none"], ()),
        (["--log", "wandb"], ("wandb",)),
        (["--log=tensorboard,mlflow,tensorboard"], ("tensorboard", "mlflow")),
    ],
)
def test_the_flag_names_sinks(words: list[str], logged: tuple[str, ...] | None) -> None:
    command = parse("train", [*COMMAND[1:], *words])
    assert isinstance(command, Train)
    assert command.logged == logged


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("tensorbord", "'tensorbord' is not one of tensorboard, wandb, mlflow; did you mean 'tensorboard'?"),
        ("tensorboard,none", "'none' is not one of tensorboard, wandb, mlflow"),
        ("", "'' is not one of tensorboard, wandb, mlflow"),
        ("mlflow", "logging to mlflow needs no_such_library: pip install 'softstep[mlflow]'"),
    ],
)
def test_a_wrong_flag_is_one_line_and_leaves_no_folder(
    log: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "LIBRARIES", {"mlflow": ("no_such_library",)})
    assert main([*COMMAND, "--out", str(tmp_path / "run"), "--log", log]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert printed.out == ""
    assert not (tmp_path / "run").exists()


def test_a_failing_tracker_is_one_line_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(names.SINKS, "tensorboard", lambda: Tape("start"))
    assert main([*COMMAND, "--json", "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("softstep: warning: tensorboard has failed and receives no more records of")
    assert "OSError: the tracker failed at its start" in printed.err
    assert all(json.loads(line) for line in printed.out.splitlines())
