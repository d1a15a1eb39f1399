"""Print the outcome of `train` and `compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from softstep.files import json_text
from softstep.report.terminal.curve_picture import CurvePicture
from softstep.report.terminal.tables import summary_table

if TYPE_CHECKING:
    from softstep.report.comparison.conclusion import Conclusion
    from softstep.runs.api import Run


def print_outcome(run: Run, conclusion: Conclusion | None = None, *, json: bool) -> None:
    """Print a run's table, its learning curves, the verdicts of a comparison and where the files are."""
    if json:
        verdicts = {} if conclusion is None else {"verdicts": conclusion.to_dicts()}
        print(json_text({"kind": "end", "out": str(run.path), **run.summary, **verdicts}))
        return
    console, curves = Console(), run.curves
    if len(curves):
        console.print(summary_table(curves, run.config))
        console.print(CurvePicture(curves))
    if conclusion is not None:
        console.print(conclusion.table())
        console.print(conclusion.answer, highlight=False, markup=False)
        console.print(f"report: {conclusion.report}", highlight=False)
    console.print(f"run folder: {run.path}", highlight=False)
