"""The wheel and the sdist hold the right files, and the wheel works in a new environment."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "softstep"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = f"softstep-{PROJECT['version']}"
SUPPORTED = ("3.11", "3.12", "3.13")

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


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without the variables of our own environment and return its output; it must succeed."""
    shared = {"PYTHONPATH", "VIRTUAL_ENV", "NPROC", "OMP_NUM_THREADS"}
    environment = {name: value for name, value in os.environ.items() if name not in shared}
    result = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, env=environment)
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


@pytest.fixture(params=oldest_and_newest())
def environment(request: pytest.FixtureRequest, built: Built, tmp_path: Path) -> Iterator[Path]:
    """Install the wheel and its dependencies in a new environment and yield the folder of its commands."""
    folder = tmp_path / "env"
    run(interpreter(request.param), "-m", "venv", folder, cwd=tmp_path)
    before = installed(folder)
    constraints = ("--constraint", ROOT / "constraints.txt")
    run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", *constraints, built.wheel, cwd=tmp_path)
    after = installed(folder)
    megabytes, distributions = after.megabytes - before.megabytes, after.distributions - before.distributions
    print(f"\nPython {request.param}: {megabytes:.0f} MB in site-packages, {distributions} distributions")
    yield folder / "bin"
    shutil.rmtree(folder)  # pytest would keep the folders of three runs, and this one is large


def test_the_wheel_works_in_a_new_environment(environment, tmp_path):
    python, softstep = environment / "python", environment / "softstep"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(softstep, "--version", cwd=empty) == f"softstep {PROJECT['version']}\n"
    options = ("--total-steps", "600", "--learning-starts", "100", "--hidden", "8")
    run(softstep, "train", "CartPole-v1", *options, "--out", "run", cwd=empty)
    assert (empty / "run" / "summary.json").is_file()
    assert "greedy returns over 2 held-out episodes" in run(softstep, "eval", "run", "--episodes", "2", cwd=empty)
    assert "α′ = (1−c)α = 1e-06" in run(softstep, "theory", "--alpha", "1e-3", "--c", "0.999", cwd=empty)
    assert "weight of the old target" in run(softstep, "convert", "--from", "sb3", "tau=0.005", cwd=empty)
    run(python, "-c", "import softstep.adapters.jax", cwd=empty)
