"""`train` and `compare`: begin, go on, say what came out."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

import softstep
from softstep import presets
from softstep.cli.arguments import Compare, RunArguments, Train, configuration, trusted_names
from softstep.cli.watching import INTERRUPTED, watching
from softstep.comparison import folders
from softstep.comparison.plan import ComparisonPlan
from softstep.comparison.run_comparison import run_comparison
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.report.terminal.curve_picture import CurvePicture
from softstep.report.terminal.progress import json_line
from softstep.report.terminal.tables import summary_table
from softstep.runs import api as run_folders
from softstep.runs import run_folder
from softstep.runs.api import Run


def train(command: Train) -> int:
    """`softstep train`."""
    if command.resume is None:
        config = configuration(command)
        run = _begun(command, config, command.out or run_folders.default_out(config, "train"), {})
    else:
        _refuse_env(command)
        if (judged := folders.comparison_folder(command.resume)) is not None:
            raise ConfigError(f"{command.resume} is a comparison's: softstep compare --resume {judged}")
        run = _resumed(command, command.resume)
    _say(command, run, None)
    return _ended(run, f"softstep train --resume {run.path}")


def compare(command: Compare) -> int:
    """`softstep compare`."""

    def begin(config: Config, folder: Path, files: Mapping[str, bytes]) -> Run:
        return _begun(command, config, folder, files)

    if command.resume is None:
        plan, out = _plan(command)
        run = run_comparison(plan, out, begin)
    else:
        _refuse_plan(command)
        out = folders.comparison_folder(command.resume) or command.resume
        run = run_comparison(folders.read_plan(out), out, begin, lambda folder: _resumed(command, folder))
    conclusion = None
    if run.path == out and run.summary["finished"]:
        conclusion = softstep.conclude(
            run, trusted=trusted_names(command.settings.env_modules, command.settings.network)
        )
    _say(command, run, conclusion)
    return _ended(run, f"softstep compare --resume {out}")


def _plan(command: Compare) -> tuple[ComparisonPlan, Path]:
    """What is to be compared, and where."""
    config = configuration(command)
    if command.steps is not None:
        config = dataclasses.replace(config, total_steps=command.steps)
    names = presets.preset(command.preset or "demo").arms if command.arms is None else command.arms.split(",")
    given = (command.inner_steps, command.selection_seeds, command.margin, command.floor)
    plan = ComparisonPlan(config, tuple(names), *given)
    out = command.out or run_folders.default_out(config, "compare")
    folders.check_new_comparison(out, force=command.force)
    return plan, out


def _refuse_plan(command: Compare) -> None:
    """A comparison that has begun keeps its plan."""
    _refuse_env(command)
    plan = ("arms", "steps", "inner_steps", "selection_seeds", "margin", "floor")
    fresh = {field.name: field.default for field in dataclasses.fields(Compare)}
    for name in plan:
        if getattr(command, name) != fresh[name]:
            flag = f"--{name.replace('_', '-')} {getattr(command, name)}"
            raise ConfigError(f"--resume {command.resume} keeps the plan with which it was begun: leave out {flag}")


def _refuse_env(command: Train | Compare) -> None:
    if command.env is not None:
        raise ConfigError(f"--resume {command.resume} continues its own environment: leave out {command.env!r}")


def _begun(command: Train | Compare, config: Config, out: Path, files: Mapping[str, bytes]) -> Run:
    """A new run, watched."""
    with watching(config, out, command, resuming=False) as (view, stopped):
        return run_folders.train(
            config, out, force=command.force, workers=command.workers, view=view, should_stop=stopped, files=files
        )


def _resumed(command: Train | Compare, out: Path) -> Run:
    """The rest of a run, watched."""
    trusted = trusted_names(command.settings.env_modules, command.settings.network)
    with watching(run_folder.open_run(out).config, out, command, resuming=True) as (view, stopped):
        return run_folders.resume(out, workers=command.workers, view=view, should_stop=stopped, trusted=trusted)


def _ended(run: Run, go_on: str) -> int:
    """The exit code; what is interrupted says how to go on."""
    if run.summary["finished"]:
        return 0
    print(f"softstep: interrupted; continue with: {go_on}", file=sys.stderr)
    return INTERRUPTED


def _say(command: RunArguments, run: Run, conclusion: Any) -> None:
    """What came out."""
    if command.json:
        told = {} if conclusion is None else {"verdicts": conclusion.to_dicts()}
        print(json_line({"kind": "end", "out": str(run.path), **run.summary, **told}))
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
