"""The theory imports only NumPy, SciPy, the target update, and the rules for extras (SymPy) and unreadable files."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from softstep import theory

FILES = sorted(Path(theory.__file__).parent.glob("*.py"))
ALLOWED = ("numpy", "scipy", "sympy", "softstep.extras", "softstep.files", "softstep.target", "softstep.theory")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_only_allowed_modules_are_imported(path):
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    foreign = [name for name in names if name.split(".")[0] not in sys.stdlib_module_names]
    assert [name for name in foreign if not name.startswith(ALLOWED)] == []


def test_importing_the_theory_loads_neither_jax_nor_plotly_nor_sympy():
    code = "import sys, softstep.theory; print([m for m in ('jax', 'plotly', 'sympy', 'equinox') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
