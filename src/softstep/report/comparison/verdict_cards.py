"""Verdicts as HTML: one card per claim, with its interval drawn beside the declared margin."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from html import escape

from softstep.report.comparison.verdict_text import (
    SIGNS,
    VerdictRow,
    finite,
    format_estimate,
    format_p,
    has_interval,
    interval,
    is_ratio,
)
from softstep.report.shared.formatting import format_count, format_short

WIDTH, HEIGHT, MIDDLE = 260.0, 46.0, 15.0
"""Size of an interval's drawing in its own units; MIDDLE is the height of the interval."""

DECADES_FROM = math.log(8)
"""Half-width of a ratio's axis from which ticks are powers of ten instead of powers of two."""

LABEL_WIDTH = 28.0
"""Distance from the middle below which a tick's label would touch the middle one."""


def verdict_cards(verdicts: Sequence[VerdictRow], margin: float | None) -> str:
    """Return a sentence that counts the verdicts, then a card for each; margin δ in units of return."""
    if not verdicts:
        return "<p>No claim was judged: this run lacks the arms or the evaluations that the claims need.</p>"
    counts = Counter(str(verdict["verdict"]) for verdict in verdicts)
    order = [*(word for word in SIGNS if word in counts), *(word for word in counts if word not in SIGNS)]
    listed = ", ".join(f"{counts[word]} {escape(word)}" for word in order)
    cards = "".join(verdict_card(verdict, margin) for verdict in verdicts)
    return f"<p>{format_count(len(verdicts), 'claim')}: {listed}.</p>{cards}"


def verdict_card(verdict: VerdictRow, margin: float | None) -> str:
    """Return one claim: its statement, the verdict, the estimate with its interval, Holm's p and n."""
    word = str(verdict["verdict"])
    css = word if word in SIGNS else "inconclusive"
    return (
        f'<article class="verdict"><div class="word {css}"><span aria-hidden="true">{SIGNS.get(word, "·")}</span>'
        f' {escape(word)}</div><div class="claim"><h3>{escape(str(verdict["statement"]))}</h3>'
        f"<p>{escape(str(verdict['estimand']))}</p></div>"
        f'<div class="evidence">{interval_bar(verdict, margin)}<strong>{escape(format_estimate(verdict))}</strong>'
        f"<small>{escape(_evidence(verdict))}</small></div></article>"
    )


def _evidence(verdict: VerdictRow) -> str:
    """Return what the verdict rests on: Holm's adjusted p and pairs of seeds, or the rows behind an exact claim."""
    pairs = "1 pair of seeds" if verdict["n"] == 1 else f"{verdict['n']} pairs of seeds"
    if has_interval(verdict):
        return f"adjusted p = {format_p(verdict.get('p_holm'))} · {pairs}".replace("= <", "<")
    if verdict["verdict"] == "exploratory":
        return f"no interval · {pairs}"
    return f"exact · {format_count(int(verdict['n']), 'row')} of the first steps"


def interval_bar(verdict: VerdictRow, margin: float | None) -> str:
    """Draw the interval: a difference around 0 with ±margin shaded, a ratio around 1 on a logarithmic axis.

    The drawing is empty for a verdict without an interval, and for a ratio that is not above 0.
    """
    values = (finite(verdict["estimate"]), *interval(verdict))
    ratio = is_ratio(verdict)
    if any(math.isnan(value) or (ratio and value <= 0) for value in values):
        return ""
    drawn = [math.log(value) for value in values] if ratio else list(values)
    least = math.log(2) if ratio else 2 * (margin or 0.0)
    half_width = 1.15 * (max(least, *map(abs, drawn)) or 1.0)
    estimate, low, high = (_x(value, half_width) for value in drawn)
    first, second = (escape(str(arm)) for arm in verdict["arms"][:2])
    ticks = _ratio_ticks(half_width) if ratio else _difference_ticks(margin)
    return (
        f'<svg class="bar" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img"'
        f' aria-label="interval {escape(format_estimate(verdict))}">'
        + ("" if ratio or not margin else _margin_area(margin, half_width))
        + f'<line class="axis" x1="0" x2="{WIDTH:g}" y1="{MIDDLE:g}" y2="{MIDDLE:g}"/>'
        + _tick_marks(ticks, half_width)
        + f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{MIDDLE:g}" y2="{MIDDLE:g}"/>'
        f'<circle cx="{estimate:.1f}" cy="{MIDDLE:g}" r="5.5"/></svg>'
        f'<div class="sides"><span>← {second} larger</span><span>{first} larger →</span></div>'
    )


def _x(value: float, half_width: float) -> float:
    """Return the horizontal position of a value on an axis from −half_width to half_width."""
    return WIDTH * (0.5 + 0.5 * value / half_width)


def _margin_area(margin: float, half_width: float) -> str:
    left, right = _x(-margin, half_width), _x(margin, half_width)
    return f'<rect class="margin" x="{left:.1f}" y="2" width="{right - left:.1f}" height="{2 * MIDDLE - 4:g}" rx="3"/>'


def _difference_ticks(margin: float | None) -> list[tuple[float, str]]:
    """Return 0 and both ends of the margin, with their labels."""
    ends = [(-margin, format_short(-margin)), (margin, f"+{format_short(margin)}")] if margin else []
    return [(0.0, "0"), *ends]


def _ratio_ticks(half_width: float) -> list[tuple[float, str]]:
    """Return the logarithms of 1 and of the powers of two or ten that fit, with their labels."""
    step = 2.0 if half_width < DECADES_FROM else 10.0
    count = int(half_width / math.log(step))
    every = max(1, math.ceil(count / 2))
    powers = [k for k in range(-count, count + 1) if k % every == 0]
    return [(k * math.log(step), f"×{step**k:.3g}") for k in powers]


def _tick_marks(ticks: Sequence[tuple[float, str]], half_width: float) -> str:
    """Return marks with labels, without those whose label would touch the middle one."""
    kept = [
        (_x(value, half_width), label, value == 0)
        for value, label in ticks
        if value == 0 or abs(_x(value, half_width) - WIDTH / 2) > LABEL_WIDTH
    ]
    return "".join(
        f'<line class="tick{" zero" if middle else ""}" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{2 * MIDDLE - 2:g}"/>'
        f'<text x="{x:.1f}" y="{HEIGHT - 3:g}">{label}</text>'
        for x, label, middle in kept
    )
