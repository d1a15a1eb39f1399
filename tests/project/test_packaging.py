"""The wheel and the sdist hold the right files, and the wheel works in a new environment."""

from __future__ import annotations

import contextlib
import email
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import pytest
from project.installations import NEED_AN_EXTRA, PROJECT, ROOT, WORK_IN_THE_BASE, is_one_line_with, pip_line

PACKAGE = ROOT / "src" / "softstep"
NAME = f"softstep-{PROJECT['version']}"
SUPPORTED = ("3.11", "3.12", "3.13")

MOST_DISTRIBUTIONS, MOST_MEGABYTES = 12, 250
"""What `pip install softstep` may bring, softstep and compiled bytecode included."""

pytestmark = pytest.mark.heavy


class Built(NamedTuple):
    """Paths of the two archives."""

    wheel: Path
    sdist: Path


class Installed(NamedTuple):
    """Size of an environment's site-packages, including compiled bytecode, and its number of distributions."""

    megabytes: float
    distributions: int


def interpreter_folders() -> Iterator[str]:
    """Yield folders that may hold interpreters: PATH, our own, and pyenv's, whose shims fail for most versions."""
    yield from (*os.get_exec_path(), str(Path(sys.executable).parent))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob("versions/*/bin")))


def interpreter(version: str) -> str | None:
    """Return the path of a working Python of this version, or None."""
    for folder in interpreter_folders():
        path = shutil.which(f"python{version}", path=folder)
        if path and f"Python {version}." in subprocess.run([path, "--version"], capture_output=True, text=True).stdout:
            return path
    return None


def oldest_and_newest() -> list[str]:
    """Return the oldest and the newest supported version on this machine, or the only one."""
    available = [version for version in SUPPORTED if interpreter(version)]
    return available[:1] + available[1:][-1:]


def finished(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command without the variables of our own environment."""
    shared = {"PYTHONPATH", "VIRTUAL_ENV", "NPROC", "OMP_NUM_THREADS"}
    environment = {name: value for name, value in os.environ.items() if name not in shared}
    return subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, env=environment, check=False)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without the variables of our own environment and return its output; it must succeed."""
    result = finished(*command, cwd=cwd)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def installed(folder: Path) -> Installed:
    """Measure the site-packages of an environment."""
    (site,) = folder.glob("lib/python*/site-packages")
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    return Installed(size / 1e6, len(list(site.glob("*.dist-info"))))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build the sdist, and the wheel from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT, cwd=out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    print(f"\n{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB; {sdist.name}: {sdist.stat().st_size / 1e6:.2f} MB")
    return Built(wheel, sdist)


@pytest.fixture(scope="module")
def wheel_files(built: Built) -> set[str]:
    """Return the names of the wheel's files."""
    with zipfile.ZipFile(built.wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def sdist_files(built: Built) -> set[str]:
    """Return the names of the sdist's files, relative to its top folder."""
    with tarfile.open(built.sdist) as archive:
        return {member.name.removeprefix(f"{NAME}/") for member in archive if member.isfile()}


@pytest.fixture(scope="module")
def metadata(built: Built) -> Message:
    """Return the wheel's metadata."""
    with zipfile.ZipFile(built.wheel) as archive:
        return email.message_from_bytes(archive.read(f"{NAME}.dist-info/METADATA"))


def test_the_archives_are_named_for_the_version(built):
    assert built.wheel.name == f"{NAME}-py3-none-any.whl"
    assert built.sdist.name == f"{NAME}.tar.gz"


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel_files):
    files = {path.relative_to(ROOT / "src").as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    expected = {name for name in files if "__pycache__" not in name}
    assert {name for name in wheel_files if not name.startswith(f"{NAME}.dist-info/")} == expected


@pytest.mark.parametrize(
    "name",
    [
        "softstep/py.typed",
        "softstep/explorer/static/index.html",
        "softstep/explorer/static/app.js",
        "softstep/explorer/static/rooms/live.js",
        "softstep/explorer/static/cell.js",
        "softstep/report/cell/frame.js",
        "softstep/reference/LunarLander-v3.safetensors",
        "softstep/reference/CartPole-v1.safetensors",
        "softstep/report/shared/page.css",
        f"{NAME}.dist-info/licenses/LICENSE",
        f"{NAME}.dist-info/entry_points.txt",
    ],
)
def test_the_wheel_holds_the_files_that_are_not_python(name, wheel_files):
    assert name in wheel_files


def test_the_wheel_states_its_version_and_required_python(metadata):
    assert metadata["Name"] == "softstep"
    assert metadata["Version"] == PROJECT["version"]
    assert set(metadata["Requires-Python"].split(",")) == set(PROJECT["requires-python"].split(","))
    assert metadata["License-Expression"] == PROJECT["license"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])


def test_the_classifiers_list_every_supported_python():
    classifiers = [f"Programming Language :: Python :: {version}" for version in SUPPORTED]
    assert [line for line in PROJECT["classifiers"] if " :: Python :: 3." in line] == classifiers


@pytest.mark.parametrize(
    "name",
    [
        "src/softstep/__init__.py",
        "src/softstep/explorer/static/index.html",
        "tests/conftest.py",
        "tests/project/test_packaging.py",
        "examples/dqn.py",
        "benchmarks/__main__.py",
        "docs/theory.md",
        "docs/results/lander-map.parquet",
        "examples/question.ipynb",
        "examples/pytorch_loop.ipynb",
        "examples/lab.ipynb",
        "studies/lander-map.toml",
        "mkdocs.yml",
        "mkdocs_hooks.py",
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "CITATION.cff",
        "LICENSE",
        "Makefile",
        "constraints.txt",
        "pyproject.toml",
        "PKG-INFO",
    ],
)
def test_the_sdist_holds_the_files_needed_to_build_and_test(name, sdist_files):
    assert name in sdist_files


def test_the_sdist_holds_no_leftovers(sdist_files):
    top_level = {name.split("/")[0] for name in sdist_files}
    assert not top_level & {".venv", ".venv-peers", "runs", "build", "dist", ".git"}
    assert not [name for name in sdist_files if "__pycache__" in name or name.endswith(".pyc")]


@contextlib.contextmanager
def environment(version: str, wheel: Path, extras: str, folder: Path) -> Iterator[tuple[Path, Installed]]:
    """Install the wheel with extras in a new environment; yield the folder of its commands and what was added."""
    run(interpreter(version), "-m", "venv", folder, cwd=folder.parent)
    before = installed(folder)
    constraints = ("--constraint", ROOT / "constraints.txt")
    run(
        folder / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        *constraints,
        f"{wheel}{extras}",
        cwd=folder.parent,
    )
    after = installed(folder)
    added = Installed(after.megabytes - before.megabytes, after.distributions - before.distributions)
    print(f"\nPython {version}, softstep{extras}: {added.megabytes:.0f} MB, {added.distributions} distributions")
    yield folder / "bin", added
    shutil.rmtree(folder)  # pytest would keep the folders of three runs, and this one is large


@pytest.fixture(params=oldest_and_newest())
def base(request: pytest.FixtureRequest, built: Built, tmp_path: Path) -> Iterator[tuple[Path, Installed]]:
    """A new environment with what `pip install softstep` brings."""
    with environment(request.param, built.wheel, "", tmp_path / "env") as made:
        yield made


@pytest.fixture(params=oldest_and_newest())
def training(request: pytest.FixtureRequest, built: Built, tmp_path: Path) -> Iterator[tuple[Path, Installed]]:
    """A new environment with what `make setup` installs."""
    with environment(request.param, built.wheel, "[train,web]", tmp_path / "env") as made:
        yield made


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An empty folder to work in."""
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_the_base_is_light_and_everything_else_says_what_to_install(base: tuple[Path, Installed], empty: Path) -> None:
    commands, added = base
    assert added.distributions <= MOST_DISTRIBUTIONS
    assert added.megabytes <= MOST_MEGABYTES
    for line in WORK_IN_THE_BASE:
        assert run(commands / "softstep", *shlex.split(line), cwd=empty)
    (empty / "dqn.yml").write_text("tau: 0.005\n")
    for line, extra in NEED_AN_EXTRA.items():
        done = finished(commands / "softstep", *shlex.split(line), cwd=empty)
        assert done.returncode == 2
        assert is_one_line_with(extra, done.stderr), done.stderr
    for name in ("jax", "torch", "keras", "sb3"):
        done = finished(commands / "python", "-c", f"import softstep.adapters.{name}", cwd=empty)
        assert done.stderr.splitlines()[-1].endswith(pip_line(name))
    assert [path.name for path in empty.iterdir()] == ["dqn.yml"]


def test_the_wheel_works_in_a_new_environment(training: tuple[Path, Installed], empty: Path) -> None:
    python, softstep = (training[0] / name for name in ("python", "softstep"))
    assert run(softstep, "--version", cwd=empty) == f"softstep {PROJECT['version']}\n"
    options = ("--total-steps", "600", "--learning-starts", "100", "--hidden", "8")
    run(softstep, "train", "CartPole-v1", *options, "--out", "run", cwd=empty)
    assert (empty / "run" / "summary.json").is_file()
    assert "greedy returns over 2 held-out episodes" in run(softstep, "eval", "run", "--episodes", "2", cwd=empty)
    assert "page: theory.html" in run(softstep, "theory", "--alpha", "1e-3", "--c", "0.999", cwd=empty)
    run(softstep, "explore", "--export", "site", cwd=empty)
    run(python, "-c", "import softstep.explorer.http.server, softstep.adapters.jax", cwd=empty)
    done = finished(softstep, "train", "gymnax:CartPole-v1", cwd=empty)
    assert done.returncode == 2
    assert is_one_line_with("gymnax", done.stderr), done.stderr


def test_gymnax_trains_where_its_extra_is_installed(built: Built, tmp_path: Path, empty: Path) -> None:
    with environment(oldest_and_newest()[0], built.wheel, "[gymnax]", tmp_path / "env") as (commands, _):
        options = ("--total-steps", "600", "--learning-starts", "100", "--hidden", "8")
        run(commands / "softstep", "train", "gymnax:CartPole-v1", *options, "--out", "run", cwd=empty)
        assert (empty / "run" / "summary.json").is_file()
