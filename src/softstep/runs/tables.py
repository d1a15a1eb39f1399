"""The results of a run as tables: one row per agent and record, one row per finished episode."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from softstep.config import Config
from softstep.errors import StoreError
from softstep.files import json_text, reason
from softstep.records.events import Record
from softstep.records.history import History
from softstep.runs.run_folder import RunFolder, write_results
from softstep.settings import Agent

if TYPE_CHECKING:
    import polars as pl


class Tables(NamedTuple):
    """The results of a run so far."""

    curves: pl.DataFrame
    episodes: pl.DataFrame


def make_tables(run: RunFolder, histories: Sequence[History]) -> Tables:
    """Make tables from the histories of a run's blocks."""
    import polars as pl  # imported late, because it takes an eighth of a second

    records = [tuple(row) for history in histories for row in history.records]
    episodes = [_episodes(*pair) for pair in zip(run.config.blocks(), histories, strict=True)]
    return Tables(
        _in_order(pl.DataFrame(records, schema=get_type_hints(Record), orient="row"), run.config),
        _in_order(pl.concat(episodes), run.config),
    )


def _episodes(agents: Sequence[Agent], history: History) -> pl.DataFrame:
    """Make the table of a block's episodes."""
    import polars as pl

    rows = history.episodes.rows
    names = {"arm": [agent.arm for agent in agents], "seed": [agent.seed for agent in agents]}
    return pl.DataFrame(names, schema={"arm": pl.String, "seed": pl.Int64})[rows["agent"]].with_columns(
        env_steps=pl.Series(rows["env_steps"]),
        episode_return=pl.Series(rows["episode_return"], dtype=pl.Float64),
        length=pl.Series(rows["length"], dtype=pl.Int64),
    )


def _in_order(frame: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Sort rows by arm in the configuration's order, then by seed, then by time."""
    import polars as pl

    arms = pl.Enum(list(dict.fromkeys(agent.arm for agent in config.agents())))
    return frame.sort(pl.col("arm").cast(arms), "seed", "env_steps", maintain_order=True)


def write_tables(run: RunFolder, tables: Tables, summary: Mapping[str, Any]) -> None:
    """Write `curves.parquet`, `episodes.parquet` and `summary.json`."""
    files = {
        "curves.parquet": _parquet(tables.curves),
        "episodes.parquet": _parquet(tables.episodes),
        "summary.json": json_text(summary, indent=2).encode(),
    }
    write_results(run, files)


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def read_curves(run: RunFolder) -> pl.DataFrame:
    """Read `curves.parquet`."""
    return read_parquet(run.path / "curves.parquet")


def read_episodes(run: RunFolder) -> pl.DataFrame:
    """Read `episodes.parquet`."""
    return read_parquet(run.path / "episodes.parquet")


def read_parquet(path: Path) -> pl.DataFrame:
    """Read a table; raise StoreError if it is missing or damaged."""
    import polars as pl

    try:
        return pl.read_parquet(io.BytesIO(path.read_bytes()))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreError(f"cannot read {path}: {reason(error)}") from None
