"""The folder of a study: its spec, its runs, and the failures of their blocks.

study.json             the spec
parts/HASH/            run folders (`softstep.runs.run_folder`), one for each population
parts/HASH/failed.json blocks whose environment raised, with the error
winners.json           of a study with contenders: their winners, once all candidates are trained
study.parquet          one row per agent and record
origins.json           where each agent of the table was trained (`origins`)
adopted.parquet        the curves of agents that were trained in another folder (`adoption`)
declaration.json       of a declared study: its declarations (`declared_study`)
"""

from __future__ import annotations

import itertools
import json
import shutil
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from softstep import files
from softstep.errors import StoreError
from softstep.runs import checkpoints, run_folder
from softstep.runs.run_folder import RunFolder
from softstep.studies.agents import study_agents
from softstep.studies.grid import cell_name, same_cell
from softstep.studies.spec import Spec
from softstep.studies.winners import Winner

SPEC_FILE, FAILURES_FILE, TABLE_FILE = "study.json", "failed.json", "study.parquet"
WINNERS_FILE, ADOPTED_FILE = "winners.json", "adopted.parquet"
_ADDITIONS = {False: "seeds and values on the axes", True: "judging seeds, candidates and contenders"}
"""What may be added to a grid, and to a study with contenders."""


def create_study(path: Path, spec: Spec) -> None:
    """Create the folder of a new study; raise StoreError if something else is there."""
    run_folder.check_free(path, force=None)
    _write_spec(path, spec)


def read_spec(path: Path) -> Spec:
    """Read the spec of the study in a folder; raise StoreError if there is none or it is damaged."""
    text = run_folder.read_result(path, SPEC_FILE)
    if text is None:
        raise StoreError(f"{path} is not a study (no {SPEC_FILE} in it)")
    try:
        return Spec.from_json(text, source=str(path / SPEC_FILE))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path / SPEC_FILE} is damaged: {error}") from None


def extend_spec(path: Path, spec: Spec) -> None:
    """Replace the spec of a study by one that adds to it; raise StoreError for any other difference.

    Seeds, values on axes, contenders and candidates may be added. Winners of the smaller study are forgotten.
    """
    old = read_spec(path)
    check_is_extended(path, old, spec, otherwise="choose another --out")
    if spec.contenders and spec != old:
        write_winners(path, spec, [])
    _write_spec(path, spec)


def check_is_extended(path: Path, old: Spec, spec: Spec, *, otherwise: str) -> None:
    """Raise StoreError if a spec differs from the one of the study in a folder, `old`, in more than additions.

    The error names the differences and says what to do `otherwise`.
    """
    differences = list(_spec_differences(old, spec))
    if differences:
        raise StoreError(
            f"the spec has changed since {path} was created ({'; '.join(differences)}): {otherwise}."
            f" Only {_ADDITIONS[bool(spec.contenders)]} may be added"
        )
    wanted = set(study_agents(spec))
    lost = [agent for agent in study_agents(old) if agent not in wanted]
    if lost:
        raise StoreError(
            f"the spec no longer asks for {lost[0].cell!r}, seed {lost[0].seed}, and {len(lost) - 1} more agents of the"
            f" study in {path}: keep them, or {otherwise}"
        )


def _write_spec(path: Path, spec: Spec) -> None:
    files.write_file(path / SPEC_FILE, spec.to_json().encode())


def _spec_differences(old: Spec, new: Spec) -> Iterable[str]:
    """Yield what differs between two specs apart from what may be added, and from the budget."""
    old_fields, new_fields = json.loads(old.to_json()), json.loads(new.to_json())
    for fields in (old_fields, new_fields):
        for key in ("axes", "seeds", "agent_steps", "draw", "contenders"):
            fields.pop(key, None)
    yield from json_differences(old_fields, new_fields)
    new_cells = new.named_cells()
    for name, candidate in old.named_cells().items() if old.contenders else ():
        if name in new_cells and not same_cell(candidate, new_cells[name]):
            yield f"candidate {name}: {cell_name(candidate)} → {cell_name(new_cells[name])}"
    if list(old.axes) != list(new.axes):
        yield f"axes: {', '.join(old.axes)} → {', '.join(new.axes)}"


def json_differences(old: Any, new: Any, name: str = "") -> list[str]:
    """Return the differences between two JSON values, each as `name: old → new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        nested = (json_differences(old.get(key), new.get(key), f"{name}.{key}".lstrip(".")) for key in keys)
        return list(itertools.chain.from_iterable(nested))
    return [] if old == new else [f"{name}: {old} → {new}"]


def write_winners(path: Path, spec: Spec, winners: Iterable[Winner]) -> None:
    """Write the winners with their settings and the scores of all candidates."""
    cells = spec.named_cells()
    listed = [
        winner._asdict() | {"cell": winner.cell, "score": winner.score, "settings": cells[winner.cell]}
        for winner in winners
    ]
    content = {"metric": spec.metric, "selection_seeds": list(spec.selection_seeds), "winners": listed}
    files.write_file(path / WINNERS_FILE, files.json_text(content, indent=2).encode())


def read_winners(path: Path) -> list[Winner]:
    """Read the winners of a study's contenders; there are none before all candidates are trained, and in a grid."""
    text = run_folder.read_result(path, WINNERS_FILE)
    if text is None:
        return []
    try:
        listed = json.loads(text)["winners"]
        return [Winner(fields["contender"], fields["candidate"], tuple(fields["scores"])) for fields in listed]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path / WINNERS_FILE} is damaged ({error}): delete it, and it is written again") from None


def population_folder(path: Path, content_hash: str) -> Path:
    """Return the run folder of a population, named by its configuration's hash."""
    return path / "parts" / content_hash


def study_runs(path: Path) -> list[RunFolder]:
    """Return the study's runs, in the order of their names."""
    return [run_folder.open_run(config.parent) for config in sorted((path / "parts").glob("*/config.json"))]


def delete_empty_study(path: Path) -> None:
    """Delete the folder of a study without any run."""
    if not study_runs(path):
        shutil.rmtree(path)


def write_failures(run: RunFolder, failures: Mapping[int, str]) -> None:
    """Write which blocks of a run have failed, and with which error."""
    errors = {str(block): error for block, error in failures.items()}
    run_folder.write_results(run, {FAILURES_FILE: files.json_text(errors).encode()})


def read_failures(run: RunFolder) -> dict[int, str]:
    """Read the blocks of a run that have failed, with their errors."""
    errors = json.loads(run_folder.read_result(run.path, FAILURES_FILE) or "{}")
    return {int(block): error for block, error in errors.items()}


def clear_failures(path: Path) -> None:
    """Forget the failures of all runs, so that their blocks are tried again."""
    for run in study_runs(path):
        write_failures(run, {})


def delete_damaged_blocks(path: Path) -> None:
    """Delete damaged results with a warning, so that they are computed again."""
    for damaged in (file for run in study_runs(path) for file in checkpoints.delete_damaged_blocks(run)):
        warnings.warn(f"{damaged} was damaged: its block is computed again", RuntimeWarning, stacklevel=3)


def is_study(path: Path) -> bool:
    """Return whether there is a study in the folder."""
    return run_folder.read_result(path, SPEC_FILE) is not None


def check_is_study(path: Path) -> None:
    """Raise StoreError if there is no study in the folder."""
    if not is_study(path):
        raise StoreError(f"{path} is not a study (no {SPEC_FILE} in it): softstep study run SPEC.toml --out {path}")


def check_can_run(out: Path, *, resume: bool) -> None:
    """Raise StoreError if a study can be neither created nor, with `resume`, resumed in this folder."""
    if resume:
        check_is_study(out)
    elif is_study(out):
        raise StoreError(f"{out} is a study already: continue it with --resume, or choose another --out")
    else:
        run_folder.check_free(out, force=None)
