"""How a verdict is told: its word with a sign, its numbers rounded, all verdicts as a table for the terminal.

A verdict is a mapping of the shape of `verdict.json`: claim, statement, estimand, estimate, interval, p, p_holm,
verdict, arms and n.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from softstep.report.terminal.tables import rounded

Verdict = Mapping[str, Any]

SIGNS = {"supported": "✓", "refuted": "✗", "equivalent": "≈", "inconclusive": "?", "exploratory": "…"}
"""Beside the word, so that no verdict is told by colour alone."""

_COLOURS = {"supported": "green", "refuted": "red", "equivalent": "blue", "inconclusive": "yellow"}


def finite(value: Any) -> float:
    """The value as a number; NaN where there is none."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else math.nan


def interval(verdict: Verdict) -> tuple[float, float]:
    """Both ends of the 95 % interval; NaN for a claim without chance in it."""
    low, high = verdict.get("interval") or (None, None)
    return finite(low), finite(high)


def is_ratio(verdict: Verdict) -> bool:
    """Whether the estimate is the first arm's measure over the second's, not their difference."""
    return " / ".join(map(str, verdict["arms"])) in str(verdict["estimand"])


def estimate_text(verdict: Verdict) -> str:
    """The estimate and its interval: −12.3 [−20.1, −4.5]; × 0.31 [0.2, 0.4] for a ratio; no interval without one."""
    low, high = interval(verdict)
    factor = "× " if is_ratio(verdict) else ""
    ends = f" [{rounded(low)}, {rounded(high)}]" if math.isfinite(low + high) else ""
    return f"{factor}{rounded(finite(verdict['estimate']))}{ends}"


def p_text(p: Any) -> str:
    """A p value: 0.023, < 0.001, or – where there is none."""
    value = finite(p)
    if math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """One row per claim, the word beside it, in 80 columns."""
    caption = "estimate [95 % interval]: a difference of greedy returns; ×: a ratio. p: after Holm. n: pairs of seeds."
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, caption=caption)
    table.caption_justify = "left"
    table.add_column("claim", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("estimate", justify="right")
    for head in ("p", "n"):
        table.add_column(head, justify="right", no_wrap=True)
    for verdict in verdicts:
        word = str(verdict["verdict"])
        told = Text(f"{SIGNS.get(word, '·')} {word}", style=f"bold {_COLOURS.get(word, 'default')}")
        cells = (estimate_text(verdict), p_text(verdict.get("p_holm")), str(verdict["n"]))
        table.add_row(Text(str(verdict["claim"])), told, *cells)
    return table
