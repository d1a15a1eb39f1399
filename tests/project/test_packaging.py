"""The wheel and the sdist hold what they should, and the wheel works in an empty environment."""

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
    """The two archives."""

    wheel: Path
    sdist: Path


class Installed(NamedTuple):
    """What the site-packages of an environment hold, compiled bytecode included."""

    megabytes: float
    distributions: int


def folders() -> Iterator[str]:
    """Where interpreters may be: the search path, beside our own, and pyenv's, whose shims fail for most versions."""
    yield from (*os.get_exec_path(), str(Path(sys.executable).parent))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob("versions/*/bin")))


def interpreter(version: str) -> str | None:
    """A Python of this version that starts, if there is one."""
    for folder in folders():
        found = shutil.which(f"python{version}", path=folder)
        if (
            found
            and f"Python {version}." in subprocess.run([found, "--version"], capture_output=True, text=True).stdout
        ):
            return found
    return None


def oldest_and_newest() -> list[str]:
    """The two ends of the supported versions that are here; one, where it is the only one."""
    found = [version for version in SUPPORTED if interpreter(version)]
    return found[:1] + found[1:][-1:]


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints in an environment of its own, if it succeeds."""
    shared = {"PYTHONPATH", "VIRTUAL_ENV", "NPROC", "OMP_NUM_THREADS"}
    environment = {name: value for name, value in os.environ.items() if name not in shared}
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def installed(folder: Path) -> Installed:
    """Size and number of what is in the site-packages of an environment."""
    (site,) = folder.glob("lib/python*/site-packages")
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    return Installed(size / 1e6, len(list(site.glob("*.dist-info"))))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist, and the wheel built from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT, cwd=out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    print(f"\n{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB; {sdist.name}: {sdist.stat().st_size / 1e6:.2f} MB")
    return Built(wheel, sdist)


@pytest.fixture(scope="module")
def in_wheel(built: Built) -> set[str]:
    """The names of the wheel's files."""
    with zipfile.ZipFile(built.wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def in_sdist(built: Built) -> set[str]:
    """The names of the sdist's files, without its own folder."""
    with tarfile.open(built.sdist) as archive:
        return {member.name.removeprefix(f"{NAME}/") for member in archive if member.isfile()}


@pytest.fixture(scope="module")
def metadata(built: Built) -> Message:
    """What the wheel says of itself."""
    with zipfile.ZipFile(built.wheel) as archive:
        return email.message_from_bytes(archive.read(f"{NAME}.dist-info/METADATA"))


def test_the_archives_are_named_for_the_version(built):
    assert built.wheel.name == f"{NAME}-py3-none-any.whl"
    assert built.sdist.name == f"{NAME}.tar.gz"


def test_the_wheel_holds_the_whole_package_and_nothing_else(in_wheel):
    files = {path.relative_to(ROOT / "src").as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    wanted = {name for name in files if "__pycache__" not in name}
    assert {name for name in in_wheel if not name.startswith(f"{NAME}.dist-info/")} == wanted


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
def test_the_wheel_holds_what_is_not_python(name, in_wheel):
    assert name in in_wheel


def test_the_wheel_says_its_version_and_which_python_it_needs(metadata):
    assert metadata["Name"] == "softstep"
    assert metadata["Version"] == PROJECT["version"]
    assert set(metadata["Requires-Python"].split(",")) == set(PROJECT["requires-python"].split(","))
    assert metadata["License-Expression"] == PROJECT["license"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])


def test_every_supported_python_is_tried():
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
def test_the_sdist_holds_what_is_needed_to_build_and_test(name, in_sdist):
    assert name in in_sdist


def test_the_sdist_holds_no_leftovers(in_sdist):
    folders_and_files = {name.split("/")[0] for name in in_sdist}
    assert not folders_and_files & {".venv", ".venv-peers", "runs", "build", "dist", ".git"}
    assert not [name for name in in_sdist if "__pycache__" in name or name.endswith(".pyc")]


@pytest.fixture(params=oldest_and_newest())
def environment(request: pytest.FixtureRequest, built: Built, tmp_path: Path) -> Iterator[Path]:
    """The commands of a new environment with nothing but the wheel and what it needs."""
    folder = tmp_path / "env"
    run(interpreter(request.param), "-m", "venv", folder, cwd=tmp_path)
    born = installed(folder)
    constraints = ("--constraint", ROOT / "constraints.txt")
    run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", *constraints, built.wheel, cwd=tmp_path)
    now = installed(folder)
    megabytes, distributions = now.megabytes - born.megabytes, now.distributions - born.distributions
    print(f"\nPython {request.param}: {megabytes:.0f} MB in site-packages, {distributions} distributions")
    yield folder / "bin"
    shutil.rmtree(folder)  # pytest keeps the folders of three runs, and this one is large


def test_the_wheel_works_in_an_empty_environment(environment, tmp_path):
    python, softstep = environment / "python", environment / "softstep"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(softstep, "--version", cwd=empty) == f"softstep {PROJECT['version']}\n"
    short = ("--total-steps", "600", "--learning-starts", "100", "--hidden", "8")
    run(softstep, "train", "CartPole-v1", *short, "--out", "run", cwd=empty)
    assert (empty / "run" / "summary.json").is_file()
    assert "greedy returns over 2 held-out episodes" in run(softstep, "eval", "run", "--episodes", "2", cwd=empty)
    assert "α′ = (1−c)α = 1e-06" in run(softstep, "theory", "--alpha", "1e-3", "--c", "0.999", cwd=empty)
    assert "weight of the old target" in run(softstep, "convert", "--from", "sb3", "tau=0.005", cwd=empty)
    run(python, "-c", "import softstep.adapters.jax", cwd=empty)
