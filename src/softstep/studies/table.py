"""A study's table: one row per agent and record, tidy, with a column for every axis."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softstep import files
from softstep.errors import StoreError
from softstep.runs.api import Run
from softstep.studies.grid import cell_name
from softstep.studies.progress import Standing
from softstep.studies.spec import Spec
from softstep.studies.study_folder import TABLE

if TYPE_CHECKING:
    import polars as pl


def gather(spec: Spec, now: Standing) -> pl.DataFrame:
    """The rows of every agent at its end: cell by cell, seed by seed, in time.

    Columns: cell, the axes that a record does not have itself, c = 1 − τ, seed, and those of `curves.parquet`.
    """
    import polars as pl

    cells = {cell_name(cell): cell for cell in spec.cells()}
    tables = []
    for run in {run.path: run for run in now.covered.values()}.values():
        held = [member for member, of in now.covered.items() if of.path == run.path]
        keys = pl.DataFrame(held, schema={"arm": pl.String, "seed": pl.Int64}, orient="row")
        tables.append(Run(run).curves.join(keys, on=["arm", "seed"], how="semi", maintain_order="left"))
    if not tables:
        return pl.DataFrame(schema={"cell": pl.String, "seed": pl.Int64})
    whole = pl.concat(tables).with_columns(cell="arm").drop("arm")
    axes = pl.DataFrame([{"cell": name} | _extra(cell, whole.columns) for name, cell in cells.items()])
    order = pl.Enum(list(cells))
    rows = whole.join(axes, on="cell", how="left", maintain_order="left").with_columns(c=1 - pl.col("tau"))
    first = ["cell", *axes.columns[1:], "c", "seed"]
    return rows.select(*first, *[name for name in whole.columns if name not in first]).sort(
        pl.col("cell").cast(order), "seed", "env_steps", maintain_order=True
    )


def _extra(cell: Any, columns: list[str]) -> dict[str, Any]:
    """The axes that no column has yet; tuples as words."""
    known = {*columns, "c", "target.tau", "target.period"}
    return {
        axis: "-".join(map(str, value)) if isinstance(value, tuple) else value
        for axis, value in cell.items()
        if axis not in known
    }


def write(path: Path, spec: Spec, now: Standing) -> pl.DataFrame:
    """Gather the table into the study's folder."""
    found = gather(spec, now)
    files.write_file(path, TABLE, parquet(found))
    return found


def parquet(frame: pl.DataFrame) -> bytes:
    """The table as a Parquet file."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def read(path: Path) -> pl.DataFrame:
    """The study's table; StoreError where it has none yet."""
    import polars as pl

    if not (path / TABLE).is_file():
        raise StoreError(f"{path} has no {TABLE} yet: softstep study run SPEC.toml --out {path} --resume")
    return pl.read_parquet(path / TABLE)
