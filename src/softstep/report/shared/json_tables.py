"""Tables as values for strict JSON, in which anything that is not finite becomes None."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl


def as_columns(frame: pl.DataFrame) -> dict[str, list[Any]]:
    """Return a table column by column."""
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    finite = frame.with_columns(pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in floats)
    return finite.to_dict(as_series=False)


def as_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with plain values."""
    return [{str(key): plain_value(value) for key, value in row.items()} for row in rows]


def plain_value(value: Any) -> Any:
    """Return one value without NumPy types."""
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
