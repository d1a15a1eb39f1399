"""The one rule for optional libraries: which extra brings each, and what the absence of one becomes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project.installations import PROJECT, ROOT, distributions, modules_of, requirements

import softstep
from softstep.errors import ConfigError
from softstep.extras import LIBRARIES, MissingExtra, required_by

PACKAGE = Path(softstep.__file__).parent
KNOWN = sorted({library for libraries in LIBRARIES.values() for library in libraries})
TEXTS = {".py", ".md", ".ipynb", ".toml"}
OF_NOTEBOOKS = {"IPython"}
"""Libraries that are imported only where they are running already."""


def imported() -> set[str]:
    """Return the first word of every module outside the standard library that the package imports anywhere."""
    names = set[str]()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(str(node.module))
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"softstep"}


def test_every_library_comes_with_the_base_or_with_an_extra() -> None:
    of_the_base = modules_of({requirement.name for requirement in requirements()})
    assert imported() - of_the_base - OF_NOTEBOOKS <= set(KNOWN)
    assert not of_the_base & set(KNOWN)


@pytest.mark.parametrize("extra", LIBRARIES)
def test_an_extra_declares_the_libraries_that_it_is_said_to_bring(extra: str) -> None:
    own = [line for line in PROJECT["optional-dependencies"][extra] if not line.startswith("softstep[")]
    declared = {requirement.name for requirement in requirements(extra) if any(requirement.name in x for x in own)}
    if extra == "envpool":  # is not installed with the others, as it takes 700 MB
        assert declared == {"envpool"}
        return
    assert set(LIBRARIES[extra]) <= modules_of(declared)
    assert all(modules_of({name}) & set(LIBRARIES[extra]) for name in declared)


def test_all_holds_every_extra_for_users() -> None:
    (line,) = PROJECT["optional-dependencies"]["all"]
    included = set(line.removeprefix("softstep[").removesuffix("]").split(","))
    assert included == set(PROJECT["optional-dependencies"]) - {"all", "docs", "dev"}
    assert set(LIBRARIES) <= included


@pytest.mark.parametrize("extra", ["web", "gymnax", "ray", "onnx"])
def test_one_pip_line_is_enough_for_what_also_trains(extra: str) -> None:
    assert distributions("train") < distributions(extra)


def test_every_pip_command_in_code_and_pages_names_extras_that_exist() -> None:
    folders = [ROOT / folder for folder in ("src", "docs", "examples", "studies")]
    files = [*ROOT.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.*") if path.suffix in TEXTS)]
    named = {match for path in files for match in re.findall(r"softstep\[([\w,]+)\]", path.read_text("utf-8"))}
    assert {"train", "train,web", "gymnax"} <= named
    assert {extra for words in named for extra in words.split(",")} <= set(PROJECT["optional-dependencies"])


@given(st.sampled_from(KNOWN), st.sampled_from(["", ".sub", ".sub.module"]))
def test_the_absence_of_a_library_becomes_one_line_with_the_pip_command(library: str, rest: str) -> None:
    extras = [extra for extra, libraries in LIBRARIES.items() if library in libraries]
    with pytest.raises(ConfigError) as caught, required_by("softstep train"):
        raise ModuleNotFoundError(f"No module named {library + rest!r}", name=library + rest)
    assert isinstance(caught.value, ModuleNotFoundError)  # so that `try … except ImportError` works
    assert (caught.value.name, caught.value.fix) == (library, f"pip install 'softstep[{extras[0]}]'")
    assert str(caught.value) == f"softstep train needs {library}: {caught.value.fix}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_user_may_name_another_extra_that_brings_the_library() -> None:
    with pytest.raises(MissingExtra, match=r"the adapter needs jax: pip install 'softstep\[jax\]'$"), \
            required_by("the adapter", extra="jax"):  # fmt: skip
        raise ModuleNotFoundError("No module named 'jax'", name="jax")


def test_what_needs_the_library_most_directly_is_named() -> None:
    with pytest.raises(MissingExtra, match=r"^inner needs onnx"), required_by("outer"), required_by("inner"):
        raise ModuleNotFoundError("No module named 'onnx'", name="onnx")


@pytest.mark.parametrize(
    "error", [ModuleNotFoundError("No module named 'mine'", name="mine"), ModuleNotFoundError("no name"),
              ImportError("cannot import name 'jit' from 'jax'", name="jax"), ValueError("jax")],
)  # fmt: skip
def test_every_other_error_passes_through(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, required_by("softstep train"):
        raise error
    assert caught.value is error


def test_importing_the_package_loads_next_to_nothing() -> None:
    code = f"import sys; sys.path.append({str(PACKAGE.parent)!r}); before = set(sys.modules); import softstep"
    code += "; print(*sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    first_words = {name.partition(".")[0] for name in result.stdout.split()}
    assert first_words <= {"__future__", "importlib", "warnings", "_warnings", "softstep"}
