"""Run a comparison: selection first, then the arms that are judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Unpack

from softstep.comparison.folders import belongs_to, check_out, planned, selection_folder
from softstep.comparison.plan import PLAN, Plan
from softstep.comparison.scores import declared, learning_scores
from softstep.config import Arm, Config
from softstep.runs import api as runs
from softstep.runs.api import Run
from softstep.runs.run_folder import is_run


def select(run: Run, floor: float) -> dict[str, Arm]:
    """The best candidate of each kind by its mean score over the selection seeds; of equals, the first."""
    scores = learning_scores(run.curves, floor)
    best: dict[str, tuple[float, Arm]] = {}
    for arm in run.config.arms:
        name = "best-alpha" if arm.name.startswith("alpha") else "best-soft"
        mean = sum(scores[arm.name].values()) / len(scores[arm.name])
        if name not in best or mean > best[name][0]:
            best[name] = (mean, arm)
    return {name: dataclasses.replace(arm, name=name) for name, (_, arm) in best.items()}


Begin = Callable[[Config, Path, Mapping[str, bytes]], Run]
"""Trains a configuration into a new folder, which also gets the given files."""


GoOn = Callable[[Path], Run]
"""Goes on with the run in a folder; a finished one is returned as it is."""


def carry_out(plan: Plan, out: Path, begin: Begin, go_on: GoOn | None = None) -> Run:
    """Selection, then the run that is judged; the run that was stopped, or the judged one.

    With `go_on`, what has begun is gone on with: a judged run that has begun needs no selection any more.
    """
    files = {PLAN: plan.to_json().encode()}

    def carried(folder: Path, config: Callable[[], Config]) -> Run:
        return go_on(folder) if go_on and is_run(folder) else begin(config(), folder, files)

    if go_on and is_run(out):
        return go_on(out)
    selected: dict[str, Arm] = {}
    if plan.tuned:
        run = carried(selection_folder(out), plan.selection)
        if not run.summary["finished"]:
            return run
        selected = select(run, declared(plan.config.env, plan.margin, plan.floor).floor)
    return begin(plan.judged(selected), out, files)


def compare(
    config: Config,
    out: Path | str | None = None,
    *,
    arms: Sequence[str] = ("soft", "smaller-alpha", "same-alpha"),
    inner_steps: int = 1,
    selection_seeds: int = 5,
    margin: float | None = None,
    floor: float | None = None,
    force: bool = False,
    **options: Unpack[runs.Options],
) -> Run:
    """Train the arms on `config`'s environment and seeds, from the same initial parameters per seed.

    `options` are those of `softstep.train`. The run's curves tell the arms apart by their column `arm`;
    `softstep.conclude` judges them. With best-alpha or best-soft among the arms, their candidates are trained first,
    on seeds of their own, into a folder beside `out`.
    """
    plan = Plan(config, tuple(arms), inner_steps, selection_seeds, margin, floor)
    path = Path(out) if out is not None else runs.default_out(config, "compare")
    check_out(path, force=force)

    def begin(one: Config, folder: Path, files: Mapping[str, bytes]) -> Run:
        return runs.train(one, folder, files=files, force=force, **options)

    return carry_out(plan, path, begin)


def resume_comparison(out: Path | str, *, trusted: Sequence[str] = (), **options: Unpack[runs.Options]) -> Run:
    """Continue an interrupted comparison exactly where it stands; a finished one is returned as it is.

    out: the folder of the comparison, or of its selection. trusted: the modules that its configuration names,
    repeated. StoreError where no comparison was begun there.
    """
    path = belongs_to(Path(out)) or Path(out)
    plan = planned(path)
    runs.check_trust(plan.config, trusted)

    def begin(one: Config, folder: Path, files: Mapping[str, bytes]) -> Run:
        return runs.train(one, folder, files=files, **options)

    return carry_out(plan, path, begin, lambda folder: runs.resume(folder, trusted=trusted, **options))
