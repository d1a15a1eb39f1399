"""Verdicts in words and numbers: a sign beside each word, rounded numbers, and a table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from softstep.report.shared.formatting import MISSING, format_result

VerdictRow = Mapping[str, Any]
"""An entry of `verdict.json`: claim, statement, estimand, estimate, interval, p, p_holm, verdict, arms and n."""

SIGNS = {"supported": "✓", "refuted": "✗", "equivalent": "≈", "inconclusive": "?", "exploratory": "…"}
"""The sign beside each verdict's word, so that colour alone never carries a verdict."""

_COLOURS = {"supported": "green", "refuted": "red", "equivalent": "blue", "inconclusive": "yellow"}


def finite(value: Any) -> float:
    """Return the value as a number, or NaN if it is not a finite number."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else math.nan


def interval(verdict: VerdictRow) -> tuple[float, float]:
    """Return both ends of the 95 % interval; NaN for an exact claim."""
    low, high = verdict.get("interval") or (None, None)
    return finite(low), finite(high)


def has_interval(verdict: VerdictRow) -> bool:
    """Return whether the claim has an interval: exact claims and fewer than two pairs of seeds have none."""
    return math.isfinite(sum(interval(verdict)))


def is_ratio(verdict: VerdictRow) -> bool:
    """Return whether the estimate is the first arm's measure divided by the second's, rather than their difference."""
    return " / ".join(map(str, verdict["arms"])) in str(verdict["estimand"])


def format_estimate(verdict: VerdictRow) -> str:
    """Format the estimate and its interval, if it has one: −12.3 [−20.1, −4.5], or × 0.31 [0.2, 0.4] for a ratio."""
    low, high = interval(verdict)
    factor = "× " if is_ratio(verdict) else ""
    ends = f" [{format_result(low)}, {format_result(high)}]" if has_interval(verdict) else ""
    return f"{factor}{format_result(finite(verdict['estimate']))}{ends}"


def format_p(p: Any) -> str:
    """Format a p-value: 0.023, < 0.001, or – if there is none."""
    value = finite(p)
    if math.isnan(value):
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def verdict_table(verdicts: Sequence[VerdictRow]) -> Table:
    """Return a table of at most 80 columns, one row per claim."""
    caption = (
        "Estimates are differences of greedy returns with their 95 % interval or, after ×, ratios of how far y moves"
        " per update in standard deviations of y; exact claims have no interval. p is adjusted by Holm. n counts pairs"
        " of seeds, or the rows behind an exact claim."
    )
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, caption=caption)
    table.caption_justify = "left"
    table.add_column("claim", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("estimate", justify="right")
    for head in ("p", "n"):
        table.add_column(head, justify="right", no_wrap=True)
    for verdict in verdicts:
        word = str(verdict["verdict"])
        signed_word = Text(f"{SIGNS.get(word, '·')} {word}", style=f"bold {_COLOURS.get(word, 'default')}")
        cells = (format_estimate(verdict), format_p(verdict.get("p_holm")), str(verdict["n"]))
        table.add_row(Text(str(verdict["claim"])), signed_word, *cells)
    return table
