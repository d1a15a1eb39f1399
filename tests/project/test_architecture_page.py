"""docs/architecture.md names files, functions and floors that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from test_architecture import FLOORS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "softstep"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")

SPANS = sorted(set(re.findall(r"`([^`\n]+)`", PAGE)))
SOURCE = re.compile(r"(?P<path>[\w./-]+\.(?:py|js))(?::(?P<name>[\w.]+))?")
"""A source file, perhaps with the name of something that it defines."""

SOURCES = [match for span in SPANS if (match := SOURCE.fullmatch(span))]
FOLDERS = [span for span in SPANS if re.fullmatch(r"[\w./-]+/", span) and span != "src/softstep/"]


def source(path: str) -> Path:
    """Return the file of a path on the page, which is relative to the package unless it names a folder of the root."""
    return (ROOT if path.split("/")[0] in ("tests", "docs", "benchmarks") else PACKAGE) / path


def defines(path: Path, name: str) -> bool:
    """Return whether a source file defines `name`, a function, class, field or constant; `Class.method` is nested."""
    text = path.read_text(encoding="utf-8")
    return _python_defines(ast.parse(text), name.split(".")) if path.suffix == ".py" else _script_defines(text, name)


def _python_defines(tree: ast.AST, names: list[str]) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            defined = [node.name]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            defined = [ast.unparse(target) for target in getattr(node, "targets", None) or [node.target]]
        else:
            continue
        if names[0] in defined and (not names[1:] or _python_defines(node, names[1:])):
            return True
    return False


def _script_defines(text: str, name: str) -> bool:
    first, _, method = name.partition(".")
    start = re.search(rf"^(export )?(async )?(function|class|const) {first}\b", text, re.MULTILINE)
    if start is None or not method:
        return start is not None
    return re.search(rf"^  (async )?{method}\(.*\{{$", text[start.end() :], re.MULTILINE) is not None


def test_the_page_names_files_and_functions() -> None:
    assert len(SOURCES) > 80
    assert sum(match["name"] is not None for match in SOURCES) > 50


@pytest.mark.parametrize("match", SOURCES, ids=lambda match: match.string)
def test_a_named_file_exists_and_defines_what_is_named(match: re.Match[str]) -> None:
    path = source(match["path"])
    assert path.is_file()
    assert match["name"] is None or defines(path, match["name"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_named_folder_exists(folder: str) -> None:
    assert source(folder).is_dir()


def test_every_walk_has_about_ten_steps() -> None:
    walks = re.findall(r"^## Walk \d: .*?(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    assert len(walks) == 4
    assert all(7 <= len(re.findall(r"^\d+\. ", walk, re.MULTILINE)) <= 10 for walk in walks)


def test_the_table_of_changes_names_one_existing_file_per_row() -> None:
    rows = re.findall(r"^\| (.+) \| `([^`]+)` \|$", PAGE.partition("## I want to change")[2], re.MULTILINE)
    assert len(rows) >= 20
    assert len({path for _, path in rows}) == len(rows)
    assert all(source(path).is_file() for _, path in rows)


@pytest.mark.parametrize("text", [PAGE, README], ids=["docs/architecture.md", "README.md"])
def test_the_table_of_floors_is_the_one_that_the_imports_are_checked_against(text: str) -> None:
    rows = re.findall(r"^\| (\d) \| ((?:`[\w/]+` ?)+) \|", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == [6, 5, 4, 3, 2, 1, 0]
    for number, names in rows:
        named = {name.strip("`/") for name in names.split()}
        assert named == {name for name in FLOORS[int(number)] if not name.startswith("__")}
        for name in re.findall(r"`([\w/]+)`", names):
            assert (PACKAGE / name).is_dir() if name.endswith("/") else (PACKAGE / f"{name}.py").is_file()


def test_the_page_is_linked_from_the_readme_and_the_site() -> None:
    assert "](docs/architecture.md)" in README
    assert "architecture.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
