"""Training in a notebook shows a progress bar, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import softstep
from softstep.config import Config
from softstep.report.notebook import bar, for_notebook, in_notebook
from softstep.runs import api
from softstep.runs.api import SilentView

TRAINING = """
import softstep
from softstep.runs.api import SilentView

settings = {"total_steps": 400, "learning_starts": 100, "record_every": 200, "eval_every": 200, "hidden": (8,)}
config = softstep.Config("CartPole-v1", **settings)
"""
CELLS = [
    TRAINING,
    'run = softstep.train(config, "run")',
    'softstep.train(config, "watched", view=SilentView());',
    'softstep.compare(config, "question", arms=["soft", "same-alpha"]);',
    'softstep.resume("run");',
]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """Return the outputs of every cell."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    folder = tmp_path_factory.mktemp("notebook")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return [cell.outputs for cell in notebook.cells]


@pytest.mark.heavy
@pytest.mark.parametrize("cell", [1, 3])
def test_a_notebook_shows_one_bar_that_is_full_at_the_end(outputs: list[list[Any]], cell: int) -> None:
    (shown,) = [output for output in outputs[cell] if output.output_type == "display_data"]
    assert shown.data["text/plain"].startswith("100%  return")
    assert '<progress max="100" value="100.0"></progress> <code>100%  return' in shown.data["text/html"]
    assert "agent-steps/s" in shown.data["text/html"]


@pytest.mark.heavy
@pytest.mark.parametrize("cell", [2, 4])
def test_a_view_of_the_caller_s_own_and_a_finished_run_show_none(outputs: list[list[Any]], cell: int) -> None:
    assert outputs[cell] == []


@pytest.mark.heavy
def test_a_script_stays_silent(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(f"import IPython\n{TRAINING}\nif __name__ == '__main__':\n    {CELLS[1]}")
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_the_functions_are_the_plain_ones_outside_a_notebook() -> None:
    assert not in_notebook()
    assert softstep.resume is api.resume


def test_only_a_view_of_the_caller_s_own_replaces_the_bar() -> None:
    def train(config: Config, **options: Any) -> dict[str, Any]:
        return options

    view = SilentView()
    assert for_notebook(train) is for_notebook(train)
    assert for_notebook(train)(Config(), workers=2) == {"workers": 2, "view": bar}
    assert for_notebook(train)(Config(), view=None) == {"view": bar}
    assert for_notebook(train)(Config(), view=view) == {"view": view}
