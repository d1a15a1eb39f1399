"""`study run`, `new`, `status`, `report` and `export`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import softstep
from softstep import files
from softstep.cli.arguments import StudyExport, StudyNew, StudyReport, StudyRun, StudyStatus, trusted_names
from softstep.cli.watching import INTERRUPTED, watching
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.runs import api as runs
from softstep.runs import run_folder, worker_pool
from softstep.runs.api import Run
from softstep.studies import study_folder
from softstep.studies.agents import study_agents
from softstep.studies.example import EXAMPLE
from softstep.studies.run_study import Study, run_study
from softstep.studies.spec import Spec
from softstep.studies.table import parquet_bytes


def run(command: StudyRun) -> int:
    """`softstep study run`."""
    spec, out = _read_spec(command), command.out or Path("runs") / command.spec.stem
    workers, engine = _workers(command.workers)
    if command.dry_run:
        return _foretell(spec, workers, as_json=command.json)
    study_folder.check_can_run(out, resume=command.resume)

    def carry(config: Config, path: Path, execute: runs.Execute) -> Run:
        begun = run_folder.is_run(path)
        with watching(config, path, command, resuming=begun) as (view, stopped):
            options = runs.Options(workers=workers, view=view, should_stop=stopped, execute=execute)
            if begun:
                return runs.resume(path, trusted=trusted_names(command.env_module, command.network), **options)
            return runs.train(config, path, **options)

    study = run_study(spec, out, carry, resume=command.resume, engine=engine)
    if study.finished:
        softstep.report_study(study)
    _say(study, as_json=command.json)
    if study.finished:
        return 0
    print(
        f"softstep: interrupted; continue with: softstep study run {command.spec} --out {out} --resume", file=sys.stderr
    )
    return INTERRUPTED


def _foretell(spec: Spec, workers: int | None, *, as_json: bool) -> int:
    found = softstep.forecast_study(spec, workers)
    if as_json:
        print(json.dumps({"kind": "forecast", **found._asdict()}))
        return 0
    table = Table(show_header=False, box=None)
    for name, value in found.table_rows():
        table.add_row(name, value)
    Console().print(table)
    return 0


def _read_spec(command: StudyRun) -> Spec:
    try:
        text = command.spec.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {command.spec}: {error}") from None
    spec = Spec.from_toml(text, source=str(command.spec))
    runs.check_trust(spec.base, trusted_names(command.env_module, command.network))
    return spec


def _workers(given: str) -> tuple[int | None, Callable[..., Any]]:
    """How many worker processes, and what runs the blocks."""
    if given == "ray":
        softstep.ray_engine.connect()  # complains before a folder is made
        return None, softstep.ray_engine.run_blocks
    if given == "auto":
        return None, worker_pool.run_blocks
    if not given.isdigit() or int(given) < 1:
        raise ConfigError(f"--workers {given} must be auto, ray or a number of at least 1")
    return int(given), worker_pool.run_blocks


def new(command: StudyNew) -> int:
    """`softstep study new`."""
    if command.out is None:
        print(EXAMPLE, end="")
        return 0
    if command.out.exists():
        raise ConfigError(f"{command.out} exists already: choose another --out")
    files.write_file(command.out.parent, command.out.name, EXAMPLE.encode())
    print(f"{command.out}: change it, then softstep study run {command.out}")
    return 0


def status(command: StudyStatus) -> int:
    """`softstep study status`."""
    _say(Study(command.study), as_json=command.json)
    return 0


def _say(study: Study, *, as_json: bool) -> None:
    progress, wanted = study.progress, study_agents(study.spec)
    facts = {
        "study": str(study.path), "env": study.spec.base.env, "cells": len(study.spec.cells()),
        "seeds": study.spec.seeds, "agents": len(wanted), "finished": len(progress.finished),
        "failed": len(progress.failed),
    }  # fmt: skip
    if as_json:
        failed = [{"cell": m.cell, "seed": m.seed, "error": told} for m, told in progress.failed.items()]
        print(json.dumps({"kind": "study", **facts, "failures": failed}))
        return
    if (study.path / "report.html").is_file():
        facts["report"] = str(study.path / "report.html")
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(name, str(value))
    for member, told in progress.failed.items():
        table.add_row("failed", f"{member.cell}, seed {member.seed}: {told}")
    Console().print(table)


def report(command: StudyReport) -> int:
    """`softstep study report`."""
    out = command.out or command.study / "report.html"
    softstep.report_study(Study(command.study), out)
    print(f"report: {out}")
    return 0


def export(command: StudyExport) -> int:
    """`softstep study export`."""
    if (command.csv is None) == (command.parquet is None):
        raise ConfigError("give either --csv FILE or --parquet FILE")
    frame = Study(command.study).frame
    out = command.csv or command.parquet
    assert out is not None
    data = frame.write_csv().encode() if command.csv else parquet_bytes(frame)
    files.write_file(out.parent, out.name, data)
    print(f"{out}: {frame.height} rows")
    return 0
