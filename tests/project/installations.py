"""Python processes in which only the distributions of some extras can be imported, and what the commands do there."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

WORK_IN_THE_BASE = (
    "--help", "--version", "study --help", "theory --alpha 1e-3 --c 0.999 --problem only_target",
    "convert --from sb3 tau=0.005 target_update_interval=10000", "convert --from list",
    "convert rescale --learning-rate 1e-3 --tau 0.005 --batch 64:512",
    "advise --gamma 0.99 --learning-rate 1e-3 --updates 60000 --env LunarLander-v3",
    "advise --from sb3-sac --total-steps 1e6 tau=0.02 gamma=0.98",
)  # fmt: skip
"""Command lines that `pip install softstep` alone can carry out."""

NEED_AN_EXTRA = {
    "train CartPole-v1": "train", "train --preset fast": "train", "train --resume runs/none": "train",
    "compare CartPole-v1": "train", "study run spec.toml": "train", "study new": "train",
    "study declare spec.toml": "train", "study status folder": "train", "study report folder": "train",
    "study export folder": "train", "eval run": "train", "watch run": "train", "export run --to onnx": "train",
    "envs": "train", "presets": "train", "runs": "train", "explore --no-browser": "web",
    "explore --export site": "train", "theory --alpha 0.1 --c 0.9 --out page.html": "train",
    "convert --from sb3 --file dqn.yml": "yaml",
}  # fmt: skip
"""Command lines that need more, and the extra that the message names."""

SITE = """
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    modules, distributions = {modules!r}, {distributions!r}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in cls.modules else super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, *context):
        found = super().find_distributions(*context)
        return [one for one in found if one.name.lower().replace("_", "-").replace(".", "-") not in cls.distributions]

sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
"""
"""A module that Python imports at its start. It makes distributions look as if they were not installed."""


def requirements(extra: str | None = None) -> list[Requirement]:
    """Return what `pip install softstep[extra]` asks for directly, with the extras that the extra includes."""
    if extra is None:
        return [Requirement(line) for line in PROJECT["dependencies"]]
    own = [Requirement(line) for line in PROJECT["optional-dependencies"][extra]]
    included = [name for requirement in own if requirement.name == PROJECT["name"] for name in requirement.extras]
    others = [requirement for name in included for requirement in requirements(name)]
    return [requirement for requirement in own if requirement.name != PROJECT["name"]] + others


def distributions(*extras: str) -> set[str]:
    """Return the names of all distributions that come with the base and these extras, as they are installed here."""
    waiting = [*requirements(), *(requirement for extra in extras for requirement in requirements(extra))]
    seen = set[tuple[str, frozenset[str]]]()
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        for line in importlib.metadata.requires(wanted.name) or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in ("", *wanted.extras)):
                waiting.append(needed)
    return {name for name, _ in seen}


@functools.cache
def owners_of_modules() -> dict[str, set[str]]:
    """Return the distributions installed here that bring each module, by the first word of the module's name."""
    found = importlib.metadata.packages_distributions()
    return {module: {canonicalize_name(owner) for owner in owners} for module, owners in found.items()}


def modules_of(names: set[str]) -> set[str]:
    """Return the modules that distributions bring, by the first word of their names."""
    return {module for module, owners in owners_of_modules().items() if names & owners}


def environment(folder: Path, *extras: str) -> dict[str, str]:
    """Return environment variables under which a process and its children import only the base and these extras.

    Args:
        folder: an empty folder for the module that hides the rest.
        extras: names of extras.
    """
    present = distributions(*extras) | {"softstep"}
    modules = owners_of_modules().keys() - modules_of(present) - sys.stdlib_module_names
    absent = set().union(*owners_of_modules().values()) - present
    (folder / "sitecustomize.py").write_text(SITE.format(modules=modules, distributions=absent), encoding="utf-8")
    path = os.pathsep.join([str(folder), str(ROOT / "src")])
    return os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}


def python(code: str, variables: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process with these environment variables and this working directory."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, check=False)


def pip_line(extra: str) -> str:
    """Return the end of a message that names the extra."""
    return f"pip install 'softstep[{extra}]'"


def is_one_line_with(extra: str, text: str) -> bool:
    """Return whether a command's error output is one line that says what is missing and how to install it."""
    return re.fullmatch(rf"softstep: [^\n]+ needs \w+: {re.escape(pip_line(extra))}\n", text) is not None
