"""Tables of samples: medians, spreads, and ratios next to the required ones."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

Unit = Literal["µs per agent-step", "steps/s", "s", "%", "MB", "count", "return", "×", "µs", "GFLOP/s per core"]

HEAD = ("", "ours", "peer", "ratio", "required", "")


class Spread(NamedTuple):
    """Median, minimum and maximum of samples."""

    median: float
    low: float
    high: float

    def text(self) -> str:
        """Format as `12.3 (11.9–13.0)`, or as one number if minimum and maximum print alike."""
        low, median, high = map(format_number, (self.low, self.median, self.high))
        return median if low == high else f"{median} ({low}–{high})"

    def as_dict(self) -> dict[str, float | None]:
        """Return the values for JSON, with None for infinity and NaN, which JSON lacks."""
        return {name: value if math.isfinite(value) else None for name, value in self._asdict().items()}


class Row(NamedTuple):
    """One line of a benchmark's table."""

    label: str
    unit: Unit
    ours: Spread
    peer: Spread | None = None
    ratio: Spread | None = None
    required: float | None = None
    sense: Literal["at least", "at most"] = "at least"

    @property
    def judged(self) -> float:
        """Number to which the requirement applies: the ratio if there is a peer, else our own median."""
        return self.ours.median if self.ratio is None else self.ratio.median

    @property
    def met(self) -> bool | None:
        """Whether the requirement is met, or None without a requirement."""
        if self.required is None:
            return None
        return self.judged >= self.required if self.sense == "at least" else self.judged <= self.required

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        parts = {name: None if part is None else part.as_dict() for name, part in self._parts()}
        plain = {"label": self.label, "unit": self.unit, "required": self.required, "sense": self.sense}
        return plain | parts | {"met": self.met}

    def _parts(self) -> tuple[tuple[str, Spread | None], ...]:
        return (("ours", self.ours), ("peer", self.peer), ("ratio", self.ratio))


def spread(samples: Sequence[float]) -> Spread:
    """Compute median, minimum and maximum; a missing sample (NaN) makes all three NaN."""
    if not samples or any(math.isnan(s) for s in samples):
        return Spread(math.nan, math.nan, math.nan)
    return Spread(statistics.median(samples), min(samples), max(samples))


def ratios(ours: Sequence[float], peer: Sequence[float]) -> list[float]:
    """Return how many times faster ours is in each pair of rates."""
    return [a / b if b else math.nan for a, b in zip(ours, peer, strict=True)]


def rate_row(
    label: str, ours: Sequence[float], peer: Sequence[float], required: float | None, unit: Unit = "steps/s"
) -> Row:
    """Compare rates pair by pair.

    Args:
        label: Name of the row.
        ours: Our rates, in steps per second.
        peer: The peer's rates, in steps per second.
        required: Least ratio ours / peer, if any is required.
        unit: Unit in which the rates are displayed.

    Returns:
        The row with both spreads in `unit` and the spread of the ratios.
    """
    ratio = spread(ratios(ours, peer))
    return Row(label, unit, spread(_in_unit(ours, unit)), spread(_in_unit(peer, unit)), ratio, required)


def _in_unit(rates: Sequence[float], unit: Unit) -> list[float]:
    return [1e6 / rate for rate in rates] if unit == "µs per agent-step" else list(rates)


def render(title: str, rows: Sequence[Row]) -> str:
    """Render the table as text."""
    cells = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([title, lines[0], "-" * len(max(lines, key=len)), *lines[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    verdict = {True: "met", False: "MISSED", None: ""}[row.met]
    sign = {"at least": "≥", "at most": "≤"}[row.sense]
    times = "×" if row.ratio is not None else ""
    return (
        f"{row.label} [{row.unit}]",
        row.ours.text(),
        "" if row.peer is None else row.peer.text(),
        "" if row.ratio is None else f"{row.ratio.text()} ×",
        "" if row.required is None else f"{sign} {format_number(row.required)}{times}",
        verdict,
    )


def format_number(value: float) -> str:
    """Format with three significant digits, or whole with spaced thousands: 0.0123, 16.4, 61 035; – if not finite."""
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"
