"""Verdicts as HTML: one card per claim, its interval drawn against the margin declared beforehand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from html import escape

from softstep.report.comparison.verdict_text import SIGNS, Verdict, estimate_text, finite, interval, is_ratio, p_text
from softstep.report.shared.axes import short

WIDTH, HEIGHT, MIDDLE = 260.0, 46.0, 15.0
"""Of a bar's drawing, in its own units; MIDDLE is the height of the interval."""

DECADE_FROM = math.log(8)
"""Reach of a ratio from which its ticks are powers of ten, not halves and doubles."""


def cards(verdicts: Sequence[Verdict], margin: float | None) -> str:
    """All verdicts, after a sentence that counts them; margin δ in units of return."""
    if not verdicts:
        return "<p>No claim was judged: its arms or its evaluations are not part of this run.</p>"
    counted = Counter(str(verdict["verdict"]) for verdict in verdicts)
    order = [*(word for word in SIGNS if word in counted), *(word for word in counted if word not in SIGNS)]
    claims = "1 claim" if len(verdicts) == 1 else f"{len(verdicts)} claims"
    told = ", ".join(f"{counted[word]} {escape(word)}" for word in order)
    return f"<p>{claims}: {told}.</p>" + "".join(card(verdict, margin) for verdict in verdicts)


def card(verdict: Verdict, margin: float | None) -> str:
    """One claim: what it says, the verdict's word, the estimate with its interval, p after Holm and n."""
    word = str(verdict["verdict"])
    css = word if word in SIGNS else "inconclusive"
    chance = not math.isnan(sum(interval(verdict)))
    count = f"{verdict['n']} {'pairs of seeds' if chance else 'measured rows'}"
    p = f"p = {p_text(verdict.get('p_holm'))} after Holm".replace("= <", "&lt;") if chance else "no chance in it"
    return (
        f'<article class="verdict"><div class="word {css}"><span aria-hidden="true">{SIGNS.get(word, "·")}</span>'
        f' {escape(word)}</div><div class="claim"><h3>{escape(str(verdict["statement"]))}</h3>'
        f"<p>{escape(str(verdict['estimand']))}</p></div>"
        f'<div class="evidence">{interval_bar(verdict, margin)}<strong>{escape(estimate_text(verdict))}</strong>'
        f"<small>{p} · {escape(count)}</small></div></article>"
    )


def interval_bar(verdict: Verdict, margin: float | None) -> str:
    """The interval on a symmetric axis around 0, ±margin shaded, or on a logarithmic one around 1 for a ratio.

    Empty for a verdict without an interval, or a ratio that is not above 0.
    """
    values = (finite(verdict["estimate"]), *interval(verdict))
    ratio = is_ratio(verdict)
    if any(math.isnan(value) or (ratio and value <= 0) for value in values):
        return ""
    shown = [math.log(value) for value in values] if ratio else list(values)
    least = math.log(2) if ratio else 2 * (margin or 0.0)
    reach = 1.15 * (max(least, *map(abs, shown)) or 1.0)
    estimate, low, high = (_place(value, reach) for value in shown)
    first, second = (escape(str(arm)) for arm in verdict["arms"][:2])
    ticks = _ratio_ticks(reach) if ratio else _difference_ticks(margin)
    return (
        f'<svg class="bar" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img"'
        f' aria-label="interval {escape(estimate_text(verdict))}">'
        + ("" if ratio or not margin else _shade(margin, reach))
        + f'<line class="axis" x1="0" x2="{WIDTH:g}" y1="{MIDDLE:g}" y2="{MIDDLE:g}"/>'
        + _tick_marks(ticks, reach)
        + f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{MIDDLE:g}" y2="{MIDDLE:g}"/>'
        f'<circle cx="{estimate:.1f}" cy="{MIDDLE:g}" r="5.5"/></svg>'
        f'<div class="sides"><span>← {second} larger</span><span>{first} larger →</span></div>'
    )


def _place(value: float, reach: float) -> float:
    """Where a value lies, from −reach at the left to reach at the right."""
    return WIDTH * (0.5 + 0.5 * value / reach)


def _shade(margin: float, reach: float) -> str:
    left, right = _place(-margin, reach), _place(margin, reach)
    return f'<rect class="margin" x="{left:.1f}" y="2" width="{right - left:.1f}" height="{2 * MIDDLE - 4:g}" rx="3"/>'


def _difference_ticks(margin: float | None) -> list[tuple[float, str]]:
    """0 and the margin's two ends, with their labels."""
    ends = [(-margin, short(-margin)), (margin, f"+{short(margin)}")] if margin else []
    return [(0.0, "0"), *ends]


def _ratio_ticks(reach: float) -> list[tuple[float, str]]:
    """1, and halves and doubles of it or powers of ten as far as they lie within reach, with their labels."""
    step = 2.0 if reach < DECADE_FROM else 10.0
    count = int(reach / math.log(step))
    every = max(1, math.ceil(count / 2))
    powers = [k for k in range(-count, count + 1) if k % every == 0]
    return [(k * math.log(step), f"×{step**k:.3g}") for k in powers]


def _tick_marks(ticks: Sequence[tuple[float, str]], reach: float) -> str:
    """Marks with labels; the labels beside the middle only where they have room."""
    room = [tick for tick in ticks if tick[0] == 0 or abs(_place(tick[0], reach) - WIDTH / 2) > 28]
    return "".join(
        f'<line class="tick{" zero" if at == 0 else ""}" x1="{_place(at, reach):.1f}" x2="{_place(at, reach):.1f}"'
        f' y1="2" y2="{2 * MIDDLE - 2:g}"/>'
        f'<text x="{_place(at, reach):.1f}" y="{HEIGHT - 3:g}">{label}</text>'
        for at, label in room
    )
