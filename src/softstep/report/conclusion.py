"""What a finished comparison says: the first steps replayed, the verdicts, and the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from softstep import first_steps, store, verdict
from softstep.report.answer import answer
from softstep.report.comparison_page import page
from softstep.report.verdicts import verdict_table
from softstep.runs import Run
from softstep.verdict import Verdict


class Conclusion(NamedTuple):
    """A comparison's verdicts and its report."""

    verdicts: list[Verdict]
    first_steps: first_steps.FirstSteps
    answer: str
    """One paragraph."""
    report: Path
    """The self-contained page."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """As `verdict.json` has them."""
        found: list[dict[str, Any]] = json.loads(verdict.to_json(self.verdicts))
        return found

    def table(self) -> Table:
        """For the terminal."""
        return verdict_table(self.to_dicts())


