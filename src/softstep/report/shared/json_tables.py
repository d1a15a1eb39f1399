"""Tables as values for strict JSON, in which anything that is not finite becomes None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from softstep.files import plain_value


def as_columns(frame: pl.DataFrame) -> dict[str, list[Any]]:
    """Return a table column by column."""
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    finite = frame.with_columns(pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in floats)
    return finite.to_dict(as_series=False)


def as_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with plain values."""
    rows_without_numpy: list[dict[str, Any]] = plain_value(rows)
    return rows_without_numpy
