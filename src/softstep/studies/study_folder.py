"""A study's folder: what was asked, the runs that answer it, and what has failed.

study.json             the spec
parts/HASH/            run folders (`softstep.runs.run_folder`), each a population
parts/HASH/failed.json blocks whose environment raised, with the error
study.parquet          one row per agent and record
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softstep import files
from softstep.errors import StoreError
from softstep.runs import checkpoints, run_folder
from softstep.runs.run_folder import RunFolder
from softstep.studies.agents import members
from softstep.studies.spec import Spec

SPEC, FAILED, TABLE = "study.json", "failed.json", "study.parquet"


def begin(path: Path, spec: Spec) -> None:
    """A new study's folder; StoreError where something else is there."""
    run_folder.check_free(path, force=False)
    files.write_file(path, SPEC, spec.to_json().encode())


def read_spec(path: Path) -> Spec:
    """What the study in this folder was asked."""
    text = run_folder.read_result(path, SPEC)
    if text is None:
        raise StoreError(f"{path} is no study (no {SPEC} in it)")
    try:
        return Spec.from_json(text, source=str(path / SPEC))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path / SPEC} is damaged: {error}") from None


def extend(path: Path, spec: Spec) -> None:
    """Let the study go on with `spec`, which may add seeds and values; StoreError with the difference otherwise."""
    before = read_spec(path)
    told, asked = json.loads(before.to_json()), json.loads(spec.to_json())
    for key in ("axes", "seeds", "agent_steps"):
        told.pop(key), asked.pop(key)
    changes = list(_differences(told, asked))
    if list(before.axes) != list(spec.axes):
        changes.append(f"axes: {', '.join(before.axes)} → {', '.join(spec.axes)}")
    if changes:
        raise StoreError(
            f"the spec has changed since {path} was begun ({'; '.join(changes)}): choose another --out for it."
            " Only seeds and values on the axes may be added"
        )
    wanted = set(members(spec))
    lost = [member for member in members(before) if member not in wanted]
    if lost:
        raise StoreError(
            f"the spec no longer asks for {lost[0].cell!r}, seed {lost[0].seed}, and {len(lost) - 1} more agents that"
            f" {path} was begun with: keep them, or choose another --out"
        )
    files.write_file(path, SPEC, spec.to_json().encode())


def _differences(a: Any, b: Any, where: str = "") -> list[str]:
    """What differs between two JSON values, each as `name: old → new`."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = list(dict.fromkeys([*a, *b]))
        each = (_differences(a.get(k), b.get(k), f"{where}.{k}".lstrip(".")) for k in keys)
        return list(itertools.chain.from_iterable(each))
    return [] if a == b else [f"{where}: {a} → {b}"]


def part_folder(path: Path, name: str) -> Path:
    """Where a population of the study lies."""
    return path / "parts" / name


def runs_of(path: Path) -> list[RunFolder]:
    """The study's runs, in the order of their names."""
    return [run_folder.open_run(found.parent) for found in sorted((path / "parts").glob("*/config.json"))]


def note_failures(run: RunFolder, failed: Mapping[int, str]) -> None:
    """Remember which blocks of a run have failed."""
    run_folder.write_results(run, {FAILED: json.dumps({str(block): told for block, told in failed.items()}).encode()})


def forget_failures(path: Path) -> None:
    """Let failed blocks be tried again."""
    for run in runs_of(path):
        note_failures(run, {})


def failures(run: RunFolder) -> dict[int, str]:
    """The blocks of a run that have failed."""
    return {int(block): told for block, told in json.loads(run_folder.read_result(run.path, FAILED) or "{}").items()}


def delete_damaged_blocks(path: Path) -> None:
    """Drop damaged results with a warning, so that they are computed again."""
    for damaged in (file for run in runs_of(path) for file in checkpoints.delete_damaged_blocks(run)):
        warnings.warn(f"{damaged} was damaged: its block is computed again", RuntimeWarning, stacklevel=3)


def check_is_study(path: Path) -> None:
    """StoreError where no study was begun."""
    if run_folder.read_result(path, SPEC) is None:
        raise StoreError(f"{path} is no study (no {SPEC} in it): softstep study run SPEC.toml --out {path}")


def check_out(out: Path, *, resume: bool) -> None:
    """StoreError where `carry_out` would refuse the folder: before anything is predicted or asked."""
    if resume:
        check_is_study(out)
    elif run_folder.read_result(out, SPEC) is not None:
        raise StoreError(f"{out} is a study already: go on with it with --resume, or choose another --out")
    else:
        run_folder.check_free(out, force=False)
