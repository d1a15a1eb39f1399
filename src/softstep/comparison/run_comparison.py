"""Run a comparison: first the selection of the tuned arms, if there are any, then the run that is judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Unpack

import polars as pl

from softstep.comparison.first_steps import check_replay
from softstep.comparison.folders import check_new_comparison, comparison_folder, read_plan, selection_folder
from softstep.comparison.plan import PLAN_FILE, ComparisonPlan
from softstep.comparison.scores import scores_by_seed
from softstep.config import Config
from softstep.runs import api as runs
from softstep.runs import checkpoints
from softstep.runs.api import Run
from softstep.runs.run_folder import is_run
from softstep.runs.versions import recorded_device
from softstep.settings import Arm

StartRun = Callable[[Config, Path, Mapping[str, bytes]], Run]
"""Train a configuration in a new run folder that also receives the given files."""

ResumeRun = Callable[[Path], Run]
"""Resume the run in a folder; a finished run is returned as it is."""


def select_tuned_arms(config: Config, curves: pl.DataFrame, floor: float) -> dict[str, Arm]:
    """Return the candidate of best-alpha and of best-soft with the best mean score over the selection seeds.

    Of equal candidates the first is taken.

    Args:
        config: the selection's configuration, with a candidate per arm.
        curves: its curves.
        floor: score of a diverged agent.
    """
    scores = scores_by_seed(curves, floor)
    best: dict[str, tuple[float, Arm]] = {}
    for arm in config.arms:
        name = "best-alpha" if arm.name.startswith("alpha") else "best-soft"
        mean = sum(scores[arm.name].values()) / len(scores[arm.name])
        if name not in best or mean > best[name][0]:
            best[name] = (mean, arm)
    return {name: dataclasses.replace(arm, name=name) for name, (_, arm) in best.items()}


def run_comparison(plan: ComparisonPlan, out: Path, start: StartRun, resume: ResumeRun | None = None) -> Run:
    """Train the selection if the plan needs one, then the run that is judged.

    Args:
        plan: what is compared.
        out: folder of the judged run; the selection gets a folder beside it.
        start: trains a new run.
        resume: continues a run; with it, unfinished runs are resumed, and a judged run that has started needs no
            selection any more. Without it, both runs are new.

    Returns:
        The judged run, or the selection run if that was stopped.

    Raises:
        ConfigError: something that the verdict will need cannot be used.
        EnvironmentFailed: the environment raises under random actions.
    """
    check_replay(plan.config)  # an hour of training must not end without a verdict
    files = {PLAN_FILE: plan.to_json().encode()}
    if resume and is_run(out):
        return _without_replay(resume(out))
    tuned_arms: dict[str, Arm] = {}
    if plan.needs_selection:
        folder = selection_folder(out)
        selection = resume(folder) if resume and is_run(folder) else start(plan.selection_config(), folder, files)
        selection = _without_replay(selection)
        if not selection.summary["finished"]:
            return selection
        tuned_arms = select_tuned_arms(selection.config, selection.curves, plan.criteria.floor)
    return _without_replay(start(plan.judged_config(tuned_arms), out, files))


def _without_replay(run: Run) -> Run:
    """Delete the replay memories of a finished run: its length is part of the plan, so it is never lengthened."""
    if run.summary["finished"]:
        checkpoints.delete_replay(run.folder)
    return run


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
    **options: Unpack[runs.NewRunOptions],
) -> Run:
    """Train arms on the same environment and seeds, from the same initial parameters per seed.

    `softstep.conclude` judges the run. Its curves tell the arms apart by the column `arm`. If best-alpha or best-soft
    is among the arms, their candidates are trained first, on seeds of their own, in a folder beside `out`.

    Args:
        config: settings common to all arms; its α and soft target are those of the arm `soft`.
        out: folder of the run; by default a new one under `runs/`.
        arms: names of the arms, from `softstep.comparison.arms.ARMS`.
        inner_steps: gradient steps of `blended` between two blends.
        selection_seeds: seeds on which each candidate of best-alpha and best-soft is trained.
        margin: δ, the smallest difference in return that matters; None takes the one declared for the environment.
        floor: return that a diverged agent scores; None takes the one declared for the environment.
        force: replace an existing run.
        **options: those of `softstep.train`.

    Returns:
        The judged run, or the run that was stopped.

    Raises:
        ConfigError: a setting is invalid, or the environment has no margin and floor.
        StoreError: the folder is taken or cannot be written.
    """
    plan = ComparisonPlan(config, tuple(arms), inner_steps, selection_seeds, margin, floor)
    path = Path(out) if out is not None else runs.default_out(config, "compare")
    check_new_comparison(path, force=force)

    def start(config: Config, folder: Path, files: Mapping[str, bytes]) -> Run:
        return runs.train(config, folder, files=files, force=force, **options)

    return run_comparison(plan, path, start)


def resume_comparison(out: Path | str, *, trusted: Sequence[str] = (), **options: Unpack[runs.Options]) -> Run:
    """Continue an interrupted comparison exactly where it stopped; a finished one is returned as it is.

    Args:
        out: folder of the comparison, or of its selection.
        trusted: the modules that its configuration names, repeated.
        **options: those of `softstep.train`.

    Raises:
        StoreError: there is no comparison in the folder.
    """
    path = comparison_folder(Path(out)) or Path(out)
    plan = read_plan(path)
    runs.check_trust(plan.config, trusted)
    begun = path if is_run(path) else selection_folder(path)
    new_options: runs.NewRunOptions = {**options, "device": recorded_device(begun)}

    def start(config: Config, folder: Path, files: Mapping[str, bytes]) -> Run:
        return runs.train(config, folder, files=files, **new_options)

    def resume(folder: Path) -> Run:
        return runs.resume(folder, trusted=trusted, **options)

    return run_comparison(plan, path, start, resume)
