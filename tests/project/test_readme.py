"""The code blocks of the README and of the documentation work as printed."""

import contextlib
import os
import re
import shlex
import subprocess
import sys

import pytest
from project.installations import PROJECT, ROOT, environment, python

from softstep.cli.main import command_of, parse

README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", README, re.DOTALL)
EXTRAS = set(PROJECT["optional-dependencies"])
SHELL = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines() if line]


def test_every_python_block_is_followed_by_its_output():
    assert len(PYTHON) == README.count("```python\n") >= 2
    assert SHELL


@pytest.mark.parametrize(("code", "output"), PYTHON, ids=[code.splitlines()[-1] for code, _ in PYTHON])
def test_a_python_block_prints_the_output_below_it(code, output, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "NPROC"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment, check=False
    )
    assert done.stdout == output, done.stderr


# Blocks that show something other than text are fenced as `py`.
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "```python\n" in page.read_text()]
MARK = "\x1e"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_print_the_outputs_below_them_with_what_its_pip_line_installs(page, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(blocks) == page.read_text().count("```python\n")
    code = f"print({MARK!r}, end='')\n".join(code for code, _ in blocks)
    lines = re.findall(r"^pip install 'softstep\[([\w,]+)\]'", page.read_text(), re.MULTILINE)
    done = python(code, environment(tmp_path, *(lines[0].split(",") if lines else ())), ROOT)
    assert done.stdout.split(MARK) == [output for _, output in blocks], done.stderr


LINES = [
    line
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("softstep ") and not line.endswith("\\")
]


@pytest.mark.parametrize("line", sorted(set(LINES)))
def test_a_command_of_the_documentation_can_be_parsed(line):
    with contextlib.suppress(SystemExit):  # --help
        parse(*command_of(shlex.split(line, comments=True)[1:]))


@pytest.mark.parametrize("line", SHELL)
def test_a_shell_line_of_the_readme_names_an_existing_command(line, tmp_path):
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif words[0] == "pip":
        assert words[1:] == ["install", words[-1]]
        assert words[-1] == "softstep" or set(re.findall(r"\w+", words[-1])[1:]) <= EXTRAS
    elif words[0].endswith("softstep"):
        parse(*command_of(words[1:]))
    else:
        assert words[0] in ("git", "cd", ".venv/bin/python")
