"""The conclusion of a finished comparison: its verdicts, the answer to the founding question, and the report."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from softstep.comparison.first_steps import FirstSteps
from softstep.comparison.judge import Verdict, verdicts_to_json
from softstep.comparison.judge_run import JudgedRun, judge_run
from softstep.comparison.scores import by_agent, final_return, scores_by_seed
from softstep.errors import ConfigError, EnvironmentFailed
from softstep.policies.policy import load
from softstep.report.cell.frame import DEFAULT_HEIGHT, in_cell, zipped
from softstep.report.comparison.exploratory_answer import exploratory_answer
from softstep.report.comparison.judged_answer import is_judged, judged_answer
from softstep.report.comparison.page import comparison_page
from softstep.report.comparison.verdict_text import verdict_table
from softstep.report.media.episode_gif import landing_gif
from softstep.runs import run_folder, versions
from softstep.runs.api import Run
from softstep.runs.best_returns import current_best_returns


class Conclusion(NamedTuple):
    """The verdicts of a comparison and its report."""

    verdicts: list[Verdict]
    first_steps: FirstSteps
    answer: str
    """Plain text; an empty line separates paragraphs, and the first one is the answer in short."""
    report: Path
    """Path of the self-contained page."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the verdicts in the shape of `verdict.json`."""
        rows: list[dict[str, Any]] = json.loads(verdicts_to_json(self.verdicts))
        return rows

    def table(self) -> Table:
        """Return the verdicts as a table for the terminal."""
        return verdict_table(self.to_dicts())

    def show(self, *, height: int = DEFAULT_HEIGHT) -> Any:
        """Return the report for the cell of a notebook; ConfigError if anywidget is missing."""
        page = zipped(self.report.read_text(encoding="utf-8"))
        return in_cell(lambda: page, f"The report of {self.report.parent.name}", height=height)


def conclude(run: Run | Path | str, *, trusted: Sequence[str] = ()) -> Conclusion:
    """Judge a finished comparison and write `verdict.json`, `first_steps.json` and `report.html` into its folder.

    Margin and floor are those with which the comparison was started. Best checkpoints are part of the report where
    `best_returns` has judged them before; none is played here.

    Args:
        run: The run, or the path of its folder.
        trusted: The modules that the run's configuration names, repeated as a sign of trust.

    Raises:
        StoreError: If the run is unfinished, or is not a comparison.
    """
    judged = judge_run(run, trusted=trusted)
    run, plan = judged.run, judged.plan
    conclusion = Conclusion(judged.verdicts, judged.first_steps, _answer(judged), run.path / "report.html")
    page = comparison_page(
        run.curves,
        run.episodes,
        run.config,
        conclusion.to_dicts(),
        judged.first_steps.to_dicts(),
        conclusion.answer,
        versions.versions(run.config, versions.recorded_device(run.path)),
        _animation(run, trusted),
        margin=plan.margin,
        floor=plan.floor,
        best=current_best_returns(run.folder),
    )
    run_folder.write_results(run.folder, {conclusion.report.name: page.encode()})
    return conclusion


def _answer(judged: JudgedRun) -> str:
    """Answer from the verdicts if there are enough seeds for any, otherwise from the curves."""
    run, verdicts = judged.run, json.loads(verdicts_to_json(judged.verdicts))
    if not is_judged(verdicts):
        return exploratory_answer(run.curves, run.config)
    criteria = judged.plan.criteria
    return judged_answer(verdicts, scores_by_seed(run.curves, criteria.floor), run.curves, run.config, criteria)


def _animation(run: Run, trusted: Sequence[str]) -> bytes | None:
    """Return a greedy episode of the best soft agent as a GIF, or None if there is no such agent or no picture."""
    scores = {
        number: final_return(rows, -math.inf)
        for number, agent in enumerate(run.config.agents())
        if agent.arm in ("soft", "best-soft")
        for rows in [by_agent(run.curves)[agent.arm, agent.seed]]
    }
    if not scores:
        return None
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "episode.gif"
        try:
            policy = load(run, max(scores, key=lambda number: scores[number]), trusted=trusted)
            landing_gif(policy, policy.spec, out, 0)
        except (ConfigError, EnvironmentFailed):
            return None
        return out.read_bytes()
