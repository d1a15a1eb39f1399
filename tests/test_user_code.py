"""The user's own code: every process finds the same modules, and whatever they raise is one line."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from softstep import user_code
from softstep.errors import ConfigError, EnvironmentFailed
from softstep.runs import worker_env

FIND = """
from softstep.errors import ConfigError
from softstep.user_code import import_user_module
for name in ("beside", "here", "random"):
    try:
        print(import_user_module(name, name).__file__)
    except ConfigError:
        print("not found")
"""
"""A program that prints the files of three modules."""


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Return a folder with a working directory, and a script elsewhere; both hold a `random.py`."""
    for folder in ("work", "scripts"):
        (tmp_path / folder).mkdir()
    (tmp_path / "work" / "here.py").touch()
    (tmp_path / "work" / "random.py").touch()
    (tmp_path / "work" / "as_module.py").write_text(FIND)
    (tmp_path / "scripts" / "beside.py").touch()
    (tmp_path / "scripts" / "go.py").write_text(FIND)
    with zipfile.ZipFile(tmp_path / "scripts" / "go.zip", "w") as archive:
        archive.writestr("__main__.py", FIND)
        archive.writestr("beside.py", "")
    return tmp_path


@pytest.fixture(autouse=True)
def _own_search_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the folders and modules that a test adds."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in sys.modules.keys() - before:
        if not name.startswith("softstep"):
            del sys.modules[name]


def found(command: list[str], cwd: Path, **environment: str) -> list[str]:
    """Return what a program of `FIND` prints."""
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return [line if line == "not found" else os.path.normpath(line) for line in done.stdout.splitlines()]


# With -P, Python itself searches neither folder, as in the `softstep` command.
@pytest.mark.parametrize(
    ("command", "beside"),
    [
        (["-P", "../scripts/go.py"], "scripts/beside.py"),
        (["-P", "../scripts/go.zip"], "scripts/go.zip/beside.py"),
        (["-P", "-c", FIND], None),
        (["-P", "-m", "as_module"], None),
    ],
    ids=["script", "zip", "-c", "-m"],
)
def test_modules_are_found_beside_the_script_and_in_the_working_directory_but_behind_pythons_own(
    folders: Path, command: list[str], beside: str | None
) -> None:
    path = {"PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(folders / "work")])}
    # The module that -m runs must itself be found, which only PYTHONPATH can do under -P.
    files = found(command, folders / "work", **(path if "-m" in command else {}))
    assert files[0] == ("not found" if beside is None else str(folders / beside))
    assert files[1] == str(folders / "work" / "here.py")
    if "-m" not in command:
        assert files[2] == random.__file__


def test_a_worker_searches_where_its_parent_does_and_nowhere_else(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folders / "work")
    monkeypatch.setattr(sys, "path", [*sys.path, "../scripts"])
    settings = worker_env.settings()
    (folders / "elsewhere").mkdir()
    (folders / "elsewhere" / "beside.py").touch()
    files = found(["-P", "-c", FIND], folders / "elsewhere", **settings)
    assert files == [str(folders / "scripts" / "beside.py"), str(folders / "work" / "here.py"), random.__file__]


def test_the_working_directory_is_remembered_when_it_changes(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders / "work")
    user_code.import_user_module("here", "module")
    os.chdir(folders)
    assert str(folders / "work") in json.loads(worker_env.settings()["SOFTSTEP_SEARCH_PATH"])


def test_a_working_directory_that_is_gone_harms_nothing(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders / "work")
    for file in (folders / "work").iterdir():
        file.unlink()
    (folders / "work").rmdir()
    assert user_code.import_user_module("random", "module") is random
    assert json.loads(worker_env.settings()["SOFTSTEP_SEARCH_PATH"])


def test_a_module_that_hides_the_users_is_named(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders / "work")
    (folders / "work" / "numpy").mkdir()
    (folders / "work" / "numpy" / "__init__.py").touch()
    for name, hidden in {"random": "work/random.py", "numpy.linalg": "work/numpy/__init__.py"}.items():
        with pytest.warns(RuntimeWarning, match=f"hides {folders / hidden}"):
            user_code.import_user_module(name, "module")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        user_code.import_user_module("here", "module")
        user_code.import_user_module("json", "module")


RAISING = {
    "raise RuntimeError('no licence')": "RuntimeError: no licence",
    "raise SystemExit(3)": "SystemExit: 3",
    "class Stop(BaseException): ...\nraise Stop": "Stop",
    "def f(:": "SyntaxError: invalid syntax",
    "import nothing_of_that_name": "ModuleNotFoundError: No module named 'nothing_of_that_name'",
    "assert False": "AssertionError",
    "raise ValueError('two\\nlines')": "ValueError: two lines",
    "raise ValueError('x ' * 10_000)": "ValueError: x x x",
}


@pytest.mark.parametrize("source", RAISING)
def test_whatever_an_import_raises_is_one_short_line_with_its_cause(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "raising.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        user_code.import_env_modules(["raising"])
    message = str(caught.value)
    assert message.startswith(f"env_module = 'raising' cannot be imported: {RAISING[source]}")
    assert "\n" not in message
    assert len(message) < 600
    assert caught.value.__cause__ is not None


def test_ctrl_c_during_an_import_stays_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow.py").write_text("raise KeyboardInterrupt")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        user_code.import_env_modules(["slow"])


def test_a_missing_module_names_the_folders_and_needs_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="No module named 'absent'") as caught:
        user_code.import_env_modules(["absent.part"])
    assert str(tmp_path) in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("line_env.py", "write line_env$"),
        ("envs/line_env.py", r"write the module as Python imports it, envs\.line_env"),
        ("./line_env", "Python imports it, line_env"),
        ("/home/me/line_env.py", "write line_env, and start in its folder or add that to PYTHONPATH"),
        ("../line_env.py", "write line_env, and start in its folder"),
        ("line_env:Line-v0", "write line_env, and Line-v0 as the environment"),
    ],
)
def test_a_file_or_an_id_in_place_of_a_module_is_told_what_to_write(name: str, instead: str) -> None:
    with pytest.raises(ConfigError, match=instead):
        user_code.import_env_modules([name])


def test_what_a_module_asks_of_numpys_errors_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "strict.py").write_text("import numpy\nnumpy.seterr(all='raise')\n")
    monkeypatch.chdir(tmp_path)
    before = np.geterr()
    user_code.import_env_modules(["strict"])
    assert np.geterr() == before


def test_our_own_lines_pass_through_a_guard_unchanged() -> None:
    for error in (ConfigError("a line"), EnvironmentFailed("another")):
        with pytest.raises(type(error)) as caught, user_code.guarded("the environment fails"):
            raise error
        assert caught.value is error
