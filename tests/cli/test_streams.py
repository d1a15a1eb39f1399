"""Commands print on terminals that cannot show every character."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep.cli.main import COMMANDS, main
from softstep.cli.streams import never_fail_to_print, stand_in
from softstep.config import Config
from softstep.runs import api
from softstep.worker.in_process import run_blocks_here

SHOWN = {
    "α = 0.001": "alpha = 0.001", "Δy, γ and Ω": "Deltay, gamma and Omega", "1 − c → 0.5 ± 2": "1 - c -> 0.5 +- 2",
    "10³ ½ é": "10^3 1/2 e", "│ ─ ┼ └ ━": "| - + + -", "⠀⠁⣿": " .#", "☃": "?", "λ ≤ ∞": "lambda <= inf",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streams") / "läuft ☃"
    config = Config(
        env="CartPole-v1", total_steps=400, learning_starts=100, record_every=200, hidden=(8,), batch_size=8
    )
    api.train(config, path, execute=run_blocks_here)
    return path


def printed(arguments: list[str], encoding: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """Return the exit code of a command and its output on strict streams of an encoding."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    try:
        code = main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = (stream.buffer.getvalue().decode(encoding) for stream in streams if not stream.flush())  # type: ignore[attr-defined]
    return code, out, err


@given(st.text())
def test_every_character_has_a_stand_in_of_ascii(text: str) -> None:
    for character in text:
        assert stand_in(character).isascii()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@given(text=st.text(st.characters()))
def test_any_text_can_be_printed(encoding: str, text: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        never_fail_to_print()
        print(text, end="", flush=True)
    shown = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    if encoding == "utf-8" and not any(unicodedata.category(c) == "Cs" for c in text):
        assert shown == text


@pytest.mark.parametrize("text", SHOWN)
def test_stand_ins_can_be_read(text: str) -> None:
    assert "".join(c if c.isascii() else stand_in(c) for c in text) == SHOWN[text]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_shown_on_an_ascii_terminal(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = printed([*command.split(), "--help"], "ascii", monkeypatch)
    assert code == 0
    assert "usage" in out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_commands_exit_as_usual(encoding: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    theory = ["theory", "--alpha", "0.1", "--tau", "0.1", "--problem", "only_target"]
    for arguments, expected in [
        (["--help"], "softstep COMMAND"), (theory, "alpha"), (["presets"], "lab"),
        (["runs", str(run.parent)], "400/400"),
        (["convert", "--from", "sb3", "tau=0.005"], "tau"), (["eval", str(run), "--episodes", "2"], "held-out"),
        (["train", "--resume", str(run)], "alpha = 0.001"),  # the settings, the table, the curves
    ]:  # fmt: skip
        code, out, err = printed(arguments, encoding, monkeypatch)
        assert code == 0, err
        assert expected in out
    code, _, err = printed(["train", "α-v0"], encoding, monkeypatch)
    assert code == 2
    assert "env = 'alpha-v0' is not registered" in err


def test_a_process_without_any_locale_prints(tmp_path: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "softstep", "theory", "--alpha", "0.1", "--tau", "0.1", "--problem", "only_target"]
    done = subprocess.run(command, env=os.environ | plain, cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"alpha" in done.stdout
