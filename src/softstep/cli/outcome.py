"""The outcome of `train` and `compare`: what is printed, and what a stopped run has saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from softstep.files import json_text
from softstep.report.terminal.curve_picture import CurvePicture
from softstep.report.terminal.tables import summary_table
from softstep.runs import checkpoints, run_folder

if TYPE_CHECKING:
    from softstep.report.comparison.conclusion import Conclusion
    from softstep.runs.api import Run


def print_outcome(run: Run, path: Path, conclusion: Conclusion | None = None, *, json: bool) -> None:
    """Print a run's table, its learning curves, the verdicts of a comparison and where the files are.

    Args:
        run: the run.
        path: its folder as the user named it.
        conclusion: the verdicts of a comparison.
        json: print one JSON object instead.
    """
    if json:
        verdicts = {} if conclusion is None else {"verdicts": conclusion.to_dicts()}
        print(json_text({"kind": "end", "out": str(path), **run.summary, **verdicts}))
        return
    console, curves = Console(), run.curves
    if len(curves):
        console.print(summary_table(curves, run.config))
        console.print(CurvePicture(curves))
    if conclusion is not None:
        console.print(conclusion.table())
        console.print(conclusion.answer, highlight=False, markup=False)
        console.print(f"report: {path / conclusion.report.name}", highlight=False)
    for resumed in run.summary.get("inexact_resumes", []):  # absent from runs of earlier versions
        line = "block {block} was resumed with new episodes at environment step {env_steps}".format(**resumed)
        console.print(f"{line}: it differs from an undisturbed run", highlight=False)
    console.print(f"run folder: {path}", highlight=False)


def saved_steps(path: Path, resume_command: str) -> str:
    """Say how far the run in a folder is saved and how to go on; the folder is gone if nothing was trained."""
    if not run_folder.is_run(path):
        return "before the first environment step, so there is nothing to save"
    run = run_folder.open_run(path)
    steps = sorted({*checkpoints.steps_reached(run)})
    reached = f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}"
    return f"saved at environment {reached} of {run.config.total_steps}; continue with: {resume_command}"
