"""The folders of a comparison: the run that is judged and, beside it, the run on which arms are selected.

Both hold the plan in `comparison.json`.
"""

from __future__ import annotations

from pathlib import Path

from softstep.comparison.plan import PLAN_FILE, ComparisonPlan
from softstep.errors import StoreError
from softstep.runs.run_folder import check_free, read_result

SELECTION_SUFFIX = "-selection"


def selection_folder(out: Path) -> Path:
    """Return the folder of the selection run, beside the run that is judged."""
    return out.with_name(f"{out.name}{SELECTION_SUFFIX}")


def comparison_folder(run_folder: Path) -> Path | None:
    """Return the folder of the comparison to which a run belongs, as its judged run or as its selection.

    None if the run does not belong to a comparison.
    """
    if read_result(run_folder, PLAN_FILE) is None:
        return None
    return run_folder.with_name(run_folder.name.removesuffix(SELECTION_SUFFIX))


def read_plan(out: Path) -> ComparisonPlan:
    """Read the plan of the comparison in `out`; raise StoreError if there is none."""
    for folder in (out, selection_folder(out)):
        text = read_result(folder, PLAN_FILE)
        if text is not None:
            return ComparisonPlan.from_json(text)
    raise StoreError(
        f"{out} is not a comparison (no {PLAN_FILE} in it or in {selection_folder(out)}):"
        f" start one with softstep compare --out {out}"
    )


def check_new_comparison(out: Path, *, force: bool) -> None:
    """Raise StoreError if no comparison can be started in this folder: before hours of selection, not after."""
    if out.name.endswith(SELECTION_SUFFIX):
        raise StoreError(
            f"{out} ends with {SELECTION_SUFFIX}, a name kept for a comparison's selection run: choose another --out"
        )
    check_free(out, force=force)
