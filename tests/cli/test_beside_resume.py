"""Every flag beside --resume is honoured or refused by name."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from support import small

import softstep.runs.api
from softstep.cli.main import main, parse
from softstep.cli.options import BESIDE_RESUME, Settings, flags
from softstep.errors import ConfigError
from softstep.runs.api import Run
from softstep.worker.in_process import run_blocks_here

COMMANDS = {
    "train": ["--resume", "nowhere"],
    "compare": ["--resume", "nowhere"],
    "study run": ["spec.toml", "--out", "nowhere", "--resume"],
}
HONOURED = {
    "train": {*BESIDE_RESUME, "--log", "--total-steps"},
    "compare": {*BESIDE_RESUME, "--log", "--best-checkpoints"},
    "study run": {*BESIDE_RESUME, "--out", "--adopt", "--device"},
}
SWITCHES = {"--json"}
VALUES = {"--device": "gpu"}
"""Values of the flags that do not take 1."""
OTHER_NAMES = {"env", "env-modules", "env-args", "arms", "changes"}
"""Fields of the configuration whose flag has another name, and those that have none."""


def flags_in_help(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Return all flags that --help names, a few of other commands among them."""
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9.-]*[a-z]", capsys.readouterr().out))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_is_honoured_or_refused_by_name(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = flags_in_help(command, capsys)
    assert names >= HONOURED[command]
    if command != "study run":
        fields = {field.name.replace("_", "-") for field in dataclasses.fields(Settings)} - OTHER_NAMES
        assert {name.partition(".")[0] for name in names} >= {f"--{field}" for field in fields}
    for name in names - HONOURED[command]:
        for word in (name, f"{name}=1", f"--{name[2:].replace('-', '_')}"):
            with pytest.raises(ConfigError, match=rf"leave out {re.escape(name)}$"):
                parse(command, [*COMMANDS[command], word])


@pytest.mark.parametrize("command", COMMANDS)
def test_honoured_flags_are_taken(command: str) -> None:
    for name in HONOURED[command] - {"--resume", "--help", "--out"}:
        parse(command, [*COMMANDS[command], name, *([] if name in SWITCHES else [VALUES.get(name, "1")])])


def test_all_ignored_flags_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"leave out --learning-rate, --out$"):
        parse("train", ["--resume", "nowhere", "--learning-rate=0.5", "--out", "x", "--workers", "1"])


def test_without_resume_every_flag_is_taken() -> None:
    command = parse("train", ["CartPole-v1", "--learning-rate", "0.5", "--total-steps", "7"])
    assert flags(["--learning_rate=0.5", "x", "-1"]) == ("--learning-rate",)
    assert command.configuration().total_steps == 7  # type: ignore[attr-defined]


@pytest.fixture
def finished(tmp_path: Path) -> Run:
    return softstep.runs.api.train(small(total_steps=200), tmp_path / "run", execute=run_blocks_here)


def test_total_steps_lengthens_a_finished_run_and_says_so(finished: Run, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "--resume", str(finished.path), "--workers", "1", "--log", "none"]
    assert main([*arguments, "--total-steps", "300"]) == 0
    assert f"{finished.path}: lengthened from 200 to 300 steps per agent" in capsys.readouterr().out
    assert finished.curves["env_steps"].max() == 300
    assert main([*arguments, "--total-steps", "250"]) == 2
    assert "total_steps = 250 is less than the 300" in capsys.readouterr().err


def test_the_last_line_of_json_says_so(finished: Run, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "--resume", str(finished.path), "--total-steps", "250", "--json", "--log", "none"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["lengthened_from"] == [200]
