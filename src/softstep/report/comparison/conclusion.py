"""What a finished comparison says: the first steps replayed, the verdicts, and the report."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from softstep import errors
from softstep.comparison import first_steps, judge
from softstep.comparison.folders import planned
from softstep.comparison.judge import Verdict
from softstep.comparison.plan import Plan
from softstep.comparison.scores import by_agent, declared, final_return, learning_scores
from softstep.errors import ConfigError
from softstep.policies.policy import load
from softstep.report.comparison.answer import answer
from softstep.report.comparison.judged_answer import is_judged, judged_answer
from softstep.report.comparison.page import page
from softstep.report.comparison.verdicts import verdict_table
from softstep.report.media.episode_gif import landing_gif
from softstep.runs import run_folder, versions
from softstep.runs.api import Run, check_trust


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
        found: list[dict[str, Any]] = json.loads(judge.to_json(self.verdicts))
        return found

    def table(self) -> Table:
        """For the terminal."""
        return verdict_table(self.to_dicts())


def conclude(run: Run | Path | str, *, trusted: Sequence[str] = ()) -> Conclusion:
    """Judge a finished comparison; writes `verdict.json`, `first_steps.json` and `report.html` into its folder.

    Margin and floor are those with which the comparison was begun. trusted: the modules that the run's configuration
    names, repeated. StoreError for a run that is unfinished or no comparison.
    """
    run = run if isinstance(run, Run) else Run(run_folder.open_run(run))
    if not run.summary.get("finished"):
        raise errors.StoreError(f"{run.path} is not finished: softstep compare --resume {run.path}")
    check_trust(run.config, trusted)
    plan = planned(run.path)
    replayed = first_steps.replay(plan.config)
    verdicts = judge.judge(run.curves, run.config, replayed.rows, margin=plan.margin, floor=plan.floor)
    found = Conclusion(verdicts, replayed, _answer(run, plan, verdicts), run.path / "report.html")
    files = {"verdict.json": judge.to_json(verdicts), "first_steps.json": json.dumps(replayed.to_dicts(), indent=2)}
    files["report.html"] = page(
        run.curves,
        run.episodes,
        run.config,
        found.to_dicts(),
        replayed.to_dicts(),
        found.answer,
        versions.versions(run.config),
        _animation(run, trusted),
        margin=plan.margin,
        floor=plan.floor,
    )
    run_folder.write_results(run.folder, {name: text.encode() for name, text in files.items()})
    return found


def _answer(run: Run, plan: Plan, verdicts: Sequence[judge.Verdict]) -> str:
    """From the verdicts, where there are seeds enough for any."""
    told = json.loads(judge.to_json(verdicts))
    if not is_judged(told):
        return answer(run.curves, run.config)
    fixed = declared(run.config.env, plan.margin, plan.floor)
    return judged_answer(told, learning_scores(run.curves, fixed.floor), run.curves, run.config, fixed)


def _animation(run: Run, trusted: Sequence[str]) -> bytes | None:
    """A greedy episode of the best soft agent as a GIF; None without one, or where the environment draws nothing."""
    scores = {
        number: final_return(rows, -math.inf)
        for number, agent in enumerate(run.config.agents())
        if agent.arm in ("soft", "best-soft")
        for rows in [by_agent(run.curves)[agent.arm, agent.seed]]
    }
    if not scores:
        return None
    policy = load(run, max(scores, key=lambda number: scores[number]), trusted=trusted)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "episode.gif"
        try:
            landing_gif(policy.q_values, policy.spec.name, out, 0)
        except ConfigError:
            return None
        return out.read_bytes()
