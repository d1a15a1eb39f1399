"""Learning curves as a stand-alone SVG: one line per arm, its name at its end, its seeds' band shaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from softstep.errors import ConfigError
from softstep.report.shared.axes import Limits, nice_limits, short, spread
from softstep.report.shared.curves import Band, arms_of, bands, reach, show_range
from softstep.report.shared.output_file import write_output
from softstep.report.shared.palette import DARK_GROUND, DARK_INK, LIGHT_GROUND, LIGHT_INK, ArmStyle, arm_styles
from softstep.report.terminal.tables import rounded

Y_NAMES = {
    "train_return": "return",
    "eval_return": "greedy return",
    "y_drift": "|Δy| per update",
    "target_gap": "‖Q − T‖",
}
"""What the y axis is called."""

STYLE = f"""
  text {{ font-family: ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }}
  .ground {{ fill: {LIGHT_GROUND}; stroke: #e1e6ef; }}
  .title {{ fill: {LIGHT_INK}; font-size: 25px; font-weight: 650; letter-spacing: -0.01em; }}
  .note, .tick, .axis {{ fill: #5a6579; font-size: 16px; }}
  .tick {{ font-variant-numeric: tabular-nums; }}
  .name {{ font-size: 19px; font-weight: 650; }}
  .last {{ font-weight: 450; }}
  .detail {{ fill: #5a6579; font-size: 15px; font-variant-numeric: tabular-nums; }}
  .grid {{ stroke: #e6eaf1; }}
  .zero {{ stroke: #aab3c2; }}
  .line {{ fill: none; stroke-width: 3.5; stroke-linejoin: round; stroke-linecap: round; }}
  .band {{ opacity: 0.15; }}
  .lead {{ fill: none; stroke-width: 1.5; opacity: 0.6; }}
  @media (prefers-color-scheme: dark) {{
    .ground {{ fill: {DARK_GROUND}; stroke: #232d40; }}
    .title {{ fill: {DARK_INK}; }}
    .note, .tick, .axis, .detail {{ fill: #9aa6ba; }}
    .grid {{ stroke: #1d2737; }}
    .zero {{ stroke: #4a566b; }}
    .band {{ opacity: 0.24; }}
  }}
"""


class Frame(NamedTuple):
    """The plotting area in pixels and the two axes."""

    left: float
    right: float
    top: float
    bottom: float
    x: Limits
    y: Limits

    def across(self, step: float) -> float:
        """Pixels of an environment step."""
        return self.left + self.x.share_of(step) * (self.right - self.left)

    def down(self, value: float) -> float:
        """Pixels of a value."""
        return self.bottom - self.y.share_of(value) * (self.bottom - self.top)

    def path(self, steps: np.ndarray, values: np.ndarray) -> list[str]:
        """Corners of a line through values at steps."""
        return [
            f"{self.across(a):.1f} {self.down(b):.1f}" for a, b in zip(steps.tolist(), values.tolist(), strict=True)
        ]


def curves_svg(
    curves: pl.DataFrame,
    out: Path | None = None,
    *,
    column: str = "eval_return",
    title: str = "",
    note: str = "",
    width: int = 1000,
    height: int = 520,
    details: Mapping[str, str] | None = None,
) -> str:
    """The picture of `column` as SVG text, also written to `out`, whole or not at all.

    Where no agent has an `eval_return` it shows the training return. `title` and `note` stand above it; `details`
    replaces an arm's second line (its α and τ).
    Errors: ConfigError where there is nothing to draw.
    """
    found = bands(curves, column)
    if not found and column == "eval_return":
        column = "train_return"
        found = bands(curves, column)
    if not found:
        raise ConfigError(f"no curve to draw: no agent has a finite {column}")
    styles = arm_styles(arms_of(curves))
    details = _details(curves, found) | dict(details or {})
    low, high = show_range(found)
    x = nice_limits(0.0, float(max(band.steps[-1] for band in found.values())), count=6, widen=False)
    y = nice_limits(low, high, count=6, widen=False)
    top = 40.0 + (36 if title else 0) + (28 if note else 0)
    room = max(_text_width(text, size) for arm in found for text, size in ((f"{arm} −0000", 19), (details[arm], 15)))
    frame = Frame(92.0, width - room - 66, top + 20, height - 84.0, x, y)
    seeds = max(band.seeds for band in found.values())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="{escape(title or _alternative(found, column))}">',
        f"<title>{escape(_alternative(found, column))}</title><style>{STYLE}</style>",
        f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="14"/>',
        *_heading(title, note),
        *_axes(frame, Y_NAMES.get(column, column), f"{seeds} seeds: mean, {reach(seeds)} shaded" if seeds > 1 else ""),
        *(_area(frame, band, styles[arm]) for arm, band in reversed(found.items())),
        *(_line(frame, band, styles[arm]) for arm, band in reversed(found.items())),
        *_labels(frame, found, styles, details),
        "</svg>",
    ]
    text = "\n".join(parts) + "\n"
    if out is not None:
        write_output(Path(out), text.encode())
    return text


def _heading(title: str, note: str) -> list[str]:
    parts = [f'<text class="title" x="34" y="52">{escape(title)}</text>'] if title else []
    below = 82 if title else 48
    return parts + ([f'<text class="note" x="34" y="{below}">{escape(note)}</text>'] if note else [])


def _axes(frame: Frame, y_name: str, legend: str) -> list[str]:
    parts = []
    for tick in frame.y.ticks:
        y = frame.down(tick)
        kind = "zero" if tick == 0 else "grid"
        parts.append(f'<path class="{kind}" d="M{frame.left:.1f} {y:.1f}H{frame.right:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{frame.left - 12:.1f}" y="{y + 5.5:.1f}" text-anchor="end">{short(tick)}</text>'
        )
    for tick in frame.x.ticks:
        x = frame.across(tick)
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{frame.bottom + 30:.1f}" text-anchor="middle">{short(tick)}</text>'
        )
    parts.append(f'<path class="zero" d="M{frame.left:.1f} {frame.bottom:.1f}H{frame.right:.1f}"/>')
    middle = (frame.left + frame.right) / 2
    steps = "environment steps" + (f" · {legend}" if legend else "")
    parts.append(f'<text class="axis" x="{middle:.1f}" y="{frame.bottom + 60:.1f}" text-anchor="middle">{steps}</text>')
    turn = f'transform="translate(34 {(frame.top + frame.bottom) / 2:.1f}) rotate(-90)"'
    return [*parts, f'<text class="axis" {turn} text-anchor="middle">{escape(y_name)}</text>']


def _area(frame: Frame, band: Band, style: ArmStyle) -> str:
    if band.seeds == 1:
        return ""
    there = frame.path(band.steps, band.high)
    back = frame.path(band.steps[::-1], band.low[::-1])
    return f'<path class="band" fill="{style.colour}" d="M{"L".join(there + back)}Z"/>'


def _line(frame: Frame, band: Band, style: ArmStyle) -> str:
    points = frame.path(band.steps, band.mean)
    return f'<path class="line" stroke="{style.colour}" d="M{"L".join(points)}"/>'


def _labels(
    frame: Frame, found: Mapping[str, Band], styles: Mapping[str, ArmStyle], details: Mapping[str, str]
) -> list[str]:
    """Every arm's name and detail beside its curve's end, led there by a thin line."""
    ends = [(frame.across(float(band.steps[-1])), frame.down(float(band.mean[-1]))) for band in found.values()]
    heights = spread([y for _, y in ends], 52, frame.top + 8, frame.bottom - 8)
    parts, at = [], frame.right + 30
    for arm, (x, y), height in zip(found, ends, heights, strict=True):
        colour, last = styles[arm].colour, rounded(float(found[arm].mean[-1]))
        lead = f"M{x + 8:.1f} {y:.1f}C{at - 10:.1f} {y:.1f} {x + 12:.1f} {height:.1f} {at - 6:.1f} {height:.1f}"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
        parts.append(f'<path class="lead" stroke="{colour}" d="{lead}"/>')
        name = f'{escape(arm)} <tspan class="last" dx="4">{last}</tspan>'
        parts.append(f'<text class="name" x="{at:.1f}" y="{height - 2:.1f}" fill="{colour}">{name}</text>')
        parts.append(f'<text class="detail" x="{at:.1f}" y="{height + 18:.1f}">{escape(details[arm])}</text>')
    return parts


def _details(curves: pl.DataFrame, arms: Iterable[str]) -> dict[str, str]:
    """Each arm's settings: `α 0.001, τ 0.005`."""
    texts = {}
    for arm in arms:
        row = curves.filter(pl.col("arm") == arm).row(-1, named=True)
        target = "no target" if row["tau"] == 1 and row["period"] == 1 else f"τ {row['tau']:.6g}"
        target += f" every {row['period']}" if row["period"] > 1 else ""
        texts[arm] = f"α {row['learning_rate']:.6g}, {target}"
    return texts


def _alternative(found: Mapping[str, Band], column: str) -> str:
    """The picture in words."""
    ends = ", ".join(f"{arm} {rounded(float(band.mean[-1]))}" for arm, band in found.items())
    return f"{Y_NAMES.get(column, column)} over environment steps, at the end: {ends}"


def _text_width(text: str, size: float) -> float:
    """Pixels a text takes at most, roughly."""
    return 0.56 * size * len(text)
