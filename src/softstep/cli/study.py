"""`softstep study run`, `new`, `status`, `report` and `export`: their flags and what they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

import softstep
from softstep import files
from softstep.cli.command import Episodes, File, Folder, PlainCommand, StudyPath, Switch, read_user_file
from softstep.cli.exit_codes import SUCCESS, exit_code, explained
from softstep.cli.monitor import monitored, playing
from softstep.cli.options import BESIDE_RESUME, Trust, TrustFlags, flags, refuse_beside_resume
from softstep.cli.study_declare import read_declared, warn_of_undeclared_changes
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.runs import api as runs
from softstep.runs import run_folder, worker_pool
from softstep.runs.api import Run
from softstep.runs.device import Device
from softstep.runs.device import check as check_device
from softstep.studies import study_folder
from softstep.studies.example import CONTENDERS, GRID
from softstep.studies.run_study import Study, run_study
from softstep.studies.spec import Spec
from softstep.studies.table import parquet_bytes


@dataclass(frozen=True)
class StudyRun(PlainCommand):
    """Train a grid of settings, or contenders, with every seed; results that are already there are kept."""

    spec: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SPEC")]
    """TOML file with the study's base settings, axes or contenders, seeds and claims (`softstep study new` prints
    one)."""
    out: Annotated[Path | None, Folder] = None
    """Folder of the study. None takes runs/ and the name of the spec without .toml."""
    resume: Switch = False
    """Continue the study in --out. The spec may have more seeds, values on its axes, candidates or contenders."""
    adopt: Annotated[Path | None, Folder] = None
    """Folder of a study with the same spec or a smaller one, from this machine or another one. Agents whose curves are
    complete in its table are not trained again. Only its study.json and study.parquet are needed (declaration.json too
    if it was declared; origins.json says where its agents were trained)."""
    workers: str = "auto"
    """Worker processes: a number, auto (one per CPU core) or ray (the cluster at RAY_ADDRESS, else this machine)."""
    device: Device = "cpu"
    """Where the agents are trained: on the CPU's cores, or, for environments gymnax:ID, on a GPU (untested on a card),
    in blocks as wide as the spec's block_width."""
    dry_run: Switch = False
    """Train nothing; estimate agents, steps, time and memory from a short trial on this machine."""
    json: Switch = False
    """Print one JSON object per line instead of a progress bar."""
    trust: Trust = field(default_factory=TrustFlags)

    @classmethod
    def parse(cls, program: str, arguments: list[str]) -> StudyRun:
        """Return the command that `arguments` describe; raise SystemExit for --help or an invalid flag."""
        refuse_beside_resume(flags(arguments), BESIDE_RESUME | {"--out", "--adopt", "--device"})
        return tyro.cli(cls, prog=program, args=arguments)

    def execute(self) -> int:
        """Run what is missing, write the report of a finished study and return the exit code."""
        spec, out = self._read_spec(), self.out or Path("runs") / self.spec.stem
        workers, engine = _workers(self.workers)
        check_device(spec.base, self.device, workers)
        self._check_combinations()
        if self.dry_run:
            _print_forecast(spec, workers, as_json=self.json)
            return SUCCESS
        declarations = read_declared(self.spec)
        warn_of_undeclared_changes(self.spec, spec, declarations)
        study_folder.check_can_run(out, resume=self.resume)
        report_study = softstep.report_study  # imports all that the report needs before anything is trained

        def train_population(config: Config, path: Path, execute: runs.Execute) -> Run:
            unfinished = run_folder.is_run(path)
            with monitored(config, path, json=self.json, resuming=unfinished) as (view, should_stop):
                options = runs.Options(workers=workers, view=view, should_stop=should_stop, execute=execute)
                if unfinished:
                    return runs.resume(path, trusted=self.trust.names, **options)
                return runs.train(config, path, device=self.device, **options)

        def saved() -> str:
            return _saved_agents(out, f"softstep study run {self.spec} --out {out} --resume")

        with explained(saved):
            study = run_study(
                spec, out, train_population, resume=self.resume, engine=engine, declarations=declarations,
                adopt=self.adopt,
            )  # fmt: skip
            finished = study.finished
            if finished:
                report_study(study)
            _print_status(study, as_json=self.json)
        return exit_code(finished=finished, saved=saved)

    def _check_combinations(self) -> None:
        if self.device == "gpu" and (self.dry_run or self.workers == "ray"):
            other = "--dry-run estimates the time" if self.dry_run else "--workers ray trains"
            raise ConfigError(f"{other} on the cores of a CPU: leave --device gpu out")
        if self.dry_run and self.adopt is not None:
            raise ConfigError("--dry-run forecasts a study from its start: leave out --adopt")

    def _read_spec(self) -> Spec:
        spec = Spec.from_toml(read_user_file(self.spec, "the spec"), source=str(self.spec))
        runs.check_trust(spec.base, self.trust.names)
        return spec


def _saved_agents(path: Path, resume_command: str) -> str:
    """Say how far a study is saved and how to go on."""
    if not study_folder.is_study(path):
        return "before the first environment step, so there is nothing to save"
    study = Study(path)
    done, agents = len(study.progress.finished), study.spec.num_agents
    return f"{done} of {agents} agents are finished, the others saved where they were; continue with: {resume_command}"


def _workers(value: str) -> tuple[int | None, Callable[..., Any]]:
    """Return the number of worker processes (None: one per core), and the function that runs the blocks."""
    if value == "ray":
        softstep.ray_engine.connect()  # raises before a folder is created
        return None, softstep.ray_engine.run_blocks
    if value == "auto":
        return None, worker_pool.run_blocks
    if not value.isdigit() or int(value) < 1:
        raise ConfigError(f"--workers {value} must be auto, ray or a number of at least 1")
    return int(value), worker_pool.run_blocks


def _print_forecast(spec: Spec, workers: int | None, *, as_json: bool) -> None:
    forecast = softstep.forecast_study(spec, workers)
    if as_json:
        print(files.json_text({"kind": "forecast", **forecast._asdict()}))
        return
    table = Table(show_header=False, box=None)
    for name, value in forecast.table_rows():
        table.add_row(name, value)
    Console().print(table)


@dataclass(frozen=True)
class StudyNew(PlainCommand):
    """Print a study's spec with comments, or write it to a file, as a start for one of your own."""

    out: Annotated[Path | None, File] = None
    """File to write. None prints the spec."""
    contenders: Switch = False
    """A contest of contenders in place of a grid."""

    def execute(self) -> int:
        """Print or write the example spec and return the exit code."""
        text = CONTENDERS if self.contenders else GRID
        if self.out is None:
            print(text, end="")
            return SUCCESS
        if self.out.exists():
            raise ConfigError(f"{self.out} exists already: choose another --out")
        files.write_file(self.out, text.encode())
        print(f"{self.out}: change it, then softstep study run {self.out}")
        return SUCCESS


@dataclass(frozen=True)
class StudyStatus(PlainCommand):
    """Show how many agents of a study have finished or failed."""

    study: StudyPath
    """Folder of the study."""
    json: Switch = False
    """Print one JSON object instead of a table."""

    def execute(self) -> int:
        """Print the study's status and return the exit code."""
        _print_status(Study(self.study), as_json=self.json)
        return SUCCESS


def _print_status(study: Study, *, as_json: bool) -> None:
    progress = study.progress
    facts = {
        "study": str(study.path), "env": study.spec.base.env, "cells": len(study.spec.cells()),
        "seeds": study.spec.seeds, "agents": study.spec.num_agents, "finished": len(progress.finished),
        "adopted": len(progress.adopted), "failed": len(progress.failed),
    }  # fmt: skip
    if as_json:
        failures = [
            {"cell": agent.cell, "seed": agent.seed, "error": error} for agent, error in progress.failed.items()
        ]
        print(files.json_text({"kind": "study", **facts, "failures": failures}))
        return
    if (study.path / "report.html").is_file():
        facts["report"] = str(study.path / "report.html")
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(name, str(value))
    for agent, error in progress.failed.items():
        table.add_row("failed", f"{agent.cell}, seed {agent.seed}: {error}")
    Console().print(table)


@dataclass(frozen=True)
class StudyReport(PlainCommand):
    """Write a study's maps, verdicts and numbers as one HTML page that needs no network."""

    study: StudyPath
    """Folder of the study."""
    out: Annotated[Path | None, File] = None
    """HTML file to write. None writes report.html in the study's folder."""
    best_checkpoints: Annotated[int | None, Episodes] = None
    """Judge the best checkpoint of every agent on this many fresh episodes first, of a study with contenders those of
    the winners on the judging seeds. The result is stored in the study, and later reports show it without this flag."""
    trust: Trust = field(default_factory=TrustFlags)

    def execute(self) -> int:
        """Judge best checkpoints if that is asked for, write the report, print its path and return the exit code."""
        out, study = self.out or self.study / "report.html", Study(self.study)
        if self.best_checkpoints is not None:
            with playing(self.best_checkpoints):
                softstep.study_best_returns(study, self.best_checkpoints, trusted=self.trust.names)
        softstep.report_study(study, out)
        print(f"report: {out}")
        return SUCCESS


@dataclass(frozen=True)
class StudyExport(PlainCommand):
    """Write a study's table to a file, one row per agent and record. Give --csv or --parquet."""

    study: StudyPath
    """Folder of the study."""
    csv: Annotated[Path | None, File] = None
    """CSV file to write."""
    parquet: Annotated[Path | None, File] = None
    """Parquet file to write."""

    def execute(self) -> int:
        """Write the table, print the number of its rows and return the exit code."""
        if (self.csv is None) == (self.parquet is None):
            raise ConfigError("give either --csv FILE or --parquet FILE")
        frame = Study(self.study).frame
        out = self.csv or self.parquet
        assert out is not None
        data = frame.write_csv().encode() if self.csv else parquet_bytes(frame)
        files.write_file(out, data)
        print(f"{out}: {frame.height} rows")
        return SUCCESS
