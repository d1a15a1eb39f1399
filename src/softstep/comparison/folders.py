"""Where a comparison lies: its folder, the folder of its selection, and the plan in both."""

from __future__ import annotations

from pathlib import Path

from softstep.comparison.plan import PLAN, Plan
from softstep.errors import StoreError
from softstep.runs.run_folder import check_free, read_result

_SELECTION = "-selection"


def selection_folder(out: Path) -> Path:
    """Beside the run that is judged."""
    return out.with_name(f"{out.name}{_SELECTION}")


def belongs_to(folder: Path) -> Path | None:
    """The folder of the judged run, where `folder` holds that run or its selection; else None."""
    if read_result(folder, PLAN) is None:
        return None
    return folder.with_name(folder.name.removesuffix(_SELECTION))


def planned(out: Path) -> Plan:
    """The plan of a comparison that was begun in `out`; StoreError where none was."""
    for folder in (out, selection_folder(out)):
        text = read_result(folder, PLAN)
        if text is not None:
            return Plan.from_json(text)
    raise StoreError(f"{out} is no comparison (no {PLAN} in it or in {selection_folder(out)})")


def check_out(out: Path, *, force: bool) -> None:
    """StoreError where no comparison can be begun in this folder: before hours of selection, not after."""
    if out.name.endswith(_SELECTION):
        raise StoreError(f"{out} is named as a selection, which gets a folder of its own: choose another --out")
    check_free(out, force=force)
