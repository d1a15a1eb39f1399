"""The table of a study: one row per agent and record, tidy, with a column for every axis."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softstep import files
from softstep.errors import StoreError
from softstep.runs.api import Run
from softstep.runs.run_folder import RunFolder
from softstep.studies.agents import StudyAgent
from softstep.studies.grid import Cell
from softstep.studies.spec import Spec
from softstep.studies.study_folder import TABLE_FILE

if TYPE_CHECKING:
    import polars as pl


def gather_table(spec: Spec, finished: Mapping[StudyAgent, RunFolder]) -> pl.DataFrame:
    """Gather the rows of every finished agent: cell by cell, seed by seed, in order of time.

    Columns: cell, for contenders also contender and candidate, the axes or knobs that a record does not have itself
    (null where a contender lacks the knob), c = 1 − τ, seed, and those of `curves.parquet`.
    `finished` maps agents to the runs they are in.
    """
    import polars as pl

    tables = []
    for run in {run.path: run for run in finished.values()}.values():
        agents = [agent for agent, its_run in finished.items() if its_run.path == run.path]
        keys = pl.DataFrame(agents, schema={"arm": pl.String, "seed": pl.Int64}, orient="row")
        tables.append(Run(run).curves.join(keys, on=["arm", "seed"], how="semi", maintain_order="left"))
    if not tables:
        return pl.DataFrame(schema={"cell": pl.String, "seed": pl.Int64})
    curves = pl.concat(tables).with_columns(cell="arm").drop("arm")
    cells = spec.named_cells()
    axes = pl.DataFrame({"cell": list(cells)} | _owner_columns(cells, spec) | _axis_columns(cells, curves.columns))
    rows = curves.join(axes, on="cell", how="left", maintain_order="left").with_columns(c=1 - pl.col("tau"))
    first_columns = ["cell", *axes.columns[1:], "c", "seed"]
    columns = [*first_columns, *(name for name in curves.columns if name not in first_columns)]
    grid_order = pl.col("cell").cast(pl.Enum(list(cells)))
    return rows.select(columns).sort(grid_order, "seed", "env_steps", maintain_order=True)


def _owner_columns(cells: Mapping[str, Cell], spec: Spec) -> dict[str, list[Any]]:
    """Return the contender of every cell, and the number of its candidate; nothing for a grid."""
    owners = [name.rpartition("/") for name in cells]
    if not spec.contenders:
        return {}
    return {"contender": [name for name, _, _ in owners], "candidate": [int(number) for _, _, number in owners]}


def _axis_columns(cells: Mapping[str, Cell], columns: Sequence[str]) -> dict[str, list[Any]]:
    """Return the cells' values on axes that have no column yet, tuples as text, null for cells without the axis."""
    known = {*columns, "c", "target.tau", "target.period"}
    axes = dict.fromkeys(axis for cell in cells.values() for axis in cell if axis not in known)
    return {axis: _column([cell.get(axis) for cell in cells.values()]) for axis in axes}


def _column(values: Sequence[Any]) -> list[Any]:
    """Return values of one type: tuples as text, and numbers as floats if one of them is a float."""
    values = ["-".join(map(str, value)) if isinstance(value, tuple) else value for value in values]
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    if len(kinds) > 1:
        return [None if value is None else str(value) for value in values]
    return values


def write_table(path: Path, spec: Spec, finished: Mapping[StudyAgent, RunFolder]) -> None:
    """Gather the table of the finished agents and write it into the study's folder."""
    files.write_file(path / TABLE_FILE, parquet_bytes(gather_table(spec, finished)))


def read_table(path: Path) -> pl.DataFrame:
    """Read the table of the study in a folder; raise StoreError if it is not written yet."""
    import polars as pl

    if not (path / TABLE_FILE).is_file():
        raise StoreError(f"{path} has no {TABLE_FILE} yet: softstep study run SPEC.toml --out {path} --resume")
    return pl.read_parquet(path / TABLE_FILE)


def parquet_bytes(table: pl.DataFrame) -> bytes:
    """Return a table as the content of a Parquet file."""
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()
