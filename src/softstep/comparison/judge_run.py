"""Judge a finished run folder of a comparison: replay the first steps, judge the claims, and write both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from softstep.comparison.first_steps import FirstSteps, replay
from softstep.comparison.folders import read_plan
from softstep.comparison.judge import Verdict, judge_claims, verdicts_to_json
from softstep.comparison.plan import ComparisonPlan
from softstep.errors import StoreError
from softstep.files import json_text
from softstep.runs import run_folder
from softstep.runs.api import Run, check_trust

VERDICTS_FILE, FIRST_STEPS_FILE = "verdict.json", "first_steps.json"


class JudgedRun(NamedTuple):
    """A finished comparison with its plan, its first steps and the verdicts on its claims."""

    run: Run
    plan: ComparisonPlan
    first_steps: FirstSteps
    verdicts: list[Verdict]


def judge_run(run: Run | Path | str, *, trusted: Sequence[str] = ()) -> JudgedRun:
    """Judge a finished comparison and write `verdict.json` and `first_steps.json` into its folder.

    Margin and floor are those with which the comparison was started.

    Args:
        run: the judged run of a comparison, or its folder.
        trusted: the modules that the run's configuration names, repeated.

    Raises:
        StoreError: the run is unfinished or does not belong to a comparison.
        ConfigError: the configuration names modules that `trusted` does not repeat.
    """
    run = run if isinstance(run, Run) else Run(run_folder.open_run(run))
    if not run.summary.get("finished"):
        raise StoreError(f"{run.path} is not finished: softstep compare --resume {run.path}")
    check_trust(run.config, trusted)
    plan = read_plan(run.path)
    first_steps = replay(plan.config)
    verdicts = judge_claims(run.curves, run.config, first_steps.rows, margin=plan.margin, floor=plan.floor)
    files = {
        VERDICTS_FILE: verdicts_to_json(verdicts),
        FIRST_STEPS_FILE: json_text(first_steps.to_dicts(), indent=2),
    }
    run_folder.write_results(run.folder, {name: text.encode() for name, text in files.items()})
    return JudgedRun(run, plan, first_steps, verdicts)
