"""The table of a study: one row per agent and record, tidy, with a column for every axis."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from softstep import files
from softstep.errors import StoreError
from softstep.records.events import Record
from softstep.runs.api import Run
from softstep.runs.tables import read_parquet
from softstep.studies.agents import StudyAgent
from softstep.studies.grid import Cell
from softstep.studies.progress import StudyProgress
from softstep.studies.spec import Spec
from softstep.studies.study_folder import ADOPTED_FILE, TABLE_FILE

if TYPE_CHECKING:
    import polars as pl


def gather_table(path: Path, spec: Spec, progress: StudyProgress) -> pl.DataFrame:
    """Gather the rows of every finished agent: cell by cell, seed by seed, in order of time.

    Columns: cell, for contenders also contender and candidate, the axes or knobs that a record does not have itself
    (null where a contender lacks the knob), c = 1 − τ, seed, and those of `curves.parquet`.
    """
    import polars as pl

    tables = []
    for run in {run.path: run for run in progress.trained.values()}.values():
        agents = [agent for agent, its_run in progress.trained.items() if its_run.path == run.path]
        tables.append(rows_of(Run(run).curves, agents))
    if progress.adopted:
        tables.append(rows_of(read_adopted(path), progress.adopted))
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


def rows_of(curves: pl.DataFrame, agents: Collection[StudyAgent]) -> pl.DataFrame:
    """Return the rows of these agents from curves, in their order."""
    import polars as pl

    keys = pl.DataFrame(list(agents), schema={"arm": pl.String, "seed": pl.Int64}, orient="row")
    return curves.join(keys, on=["arm", "seed"], how="semi", maintain_order="left")


def table_curves(path: Path) -> pl.DataFrame:
    """Return the curves from which the table of the study in a folder was gathered: what every `curves.parquet` has.

    Raises:
        StoreError: there is no table, or it lacks columns because it was cut down or is of another version.
    """
    import polars as pl

    table, schema = read_table(path), pl.DataFrame(schema=get_type_hints(Record)).schema
    if not table.height:
        return pl.DataFrame(schema=schema)
    needed = {"cell" if name == "arm" else name: kind for name, kind in schema.items()}
    other = [name for name, kind in needed.items() if table.schema.get(name) != kind]
    if other:
        raise StoreError(f"{path / TABLE_FILE} lacks {', '.join(other)}: it is not the whole table of this version")
    return table.with_columns(arm="cell").select(schema.names())


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


def write_table(path: Path, spec: Spec, progress: StudyProgress) -> None:
    """Gather the table of the finished agents and write it into the study's folder."""
    files.write_file(path / TABLE_FILE, parquet_bytes(gather_table(path, spec, progress)))


def read_table(path: Path) -> pl.DataFrame:
    """Read the table of the study in a folder; raise StoreError if it is not written yet."""
    if not (path / TABLE_FILE).is_file():
        raise StoreError(f"{path} has no {TABLE_FILE} yet: softstep study run SPEC.toml --out {path} --resume")
    return read_parquet(path / TABLE_FILE)


def write_adopted(path: Path, curves: pl.DataFrame) -> None:
    """Write the curves of agents that a study has adopted into its folder."""
    files.write_file(path / ADOPTED_FILE, parquet_bytes(curves))


def read_adopted(path: Path) -> pl.DataFrame:
    """Read the curves of agents that the study in a folder has adopted; raise StoreError if there are none."""
    return read_parquet(path / ADOPTED_FILE)


def parquet_bytes(table: pl.DataFrame) -> bytes:
    """Return a table as the content of a Parquet file."""
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()
