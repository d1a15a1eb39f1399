"""Learning curves as a stand-alone SVG: one line per arm with its name at the end and its seeds' band shaded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from softstep.errors import ConfigError
from softstep.report.shared.axes import AxisLimits, nice_limits, spread_labels
from softstep.report.shared.curves import Band, arms_of, band_meaning, bands, visible_range
from softstep.report.shared.formatting import format_result, format_short
from softstep.report.shared.output_file import write_output
from softstep.report.shared.palette import DARK_GROUND, DARK_INK, LIGHT_GROUND, LIGHT_INK, ArmStyle, arm_styles

Y_NAMES = {
    "train_return": "return",
    "eval_return": "greedy return",
    "y_drift": "|Δy| per update",
    "target_gap": "‖Q − T‖",
}
"""Title of the y axis by column."""

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
    x: AxisLimits
    y: AxisLimits

    def x_of(self, step: float) -> float:
        """Return the horizontal position of an environment step."""
        return self.left + self.x.fraction_of(step) * (self.right - self.left)

    def y_of(self, value: float) -> float:
        """Return the vertical position of a value."""
        return self.bottom - self.y.fraction_of(value) * (self.bottom - self.top)

    def path(self, steps: np.ndarray, values: np.ndarray) -> list[str]:
        """Return the corners of a line through values at steps."""
        return [f"{self.x_of(a):.1f} {self.y_of(b):.1f}" for a, b in zip(steps.tolist(), values.tolist(), strict=True)]


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
    """Return the picture as SVG text, and write it to `out` if that is given.

    The number beside an arm's name is the mean over the last tenth of its curve, by which a comparison judges it.

    Args:
        curves: The run's table of curves.
        out: A file to write, completely or not at all.
        column: The column to draw; if no agent has an `eval_return`, the training return takes its place.
        title: A line above the picture.
        note: A smaller line below the title.
        width: In pixels.
        height: In pixels.
        details: Replaces an arm's second line, which is its α and τ.

    Raises:
        ConfigError: If there is nothing to draw.
    """
    drawn = bands(curves, column)
    if not drawn and column == "eval_return":
        column = "train_return"
        drawn = bands(curves, column)
    if not drawn:
        raise ConfigError(f"no curve to draw: no agent has a finite {column}")
    styles = arm_styles(arms_of(curves))
    details = _details(curves, drawn) | dict(details or {})
    frame = _frame(drawn, details, top=40.0 + (36 if title else 0) + (28 if note else 0), size=(width, height))
    seeds = max(band.seeds for band in drawn.values())
    legend = f"{seeds} seeds: mean, {band_meaning(seeds)} shaded; " if seeds > 1 else ""
    alternative = escape(_alternative(drawn, column))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="{escape(title) or alternative}">',
        f"<title>{alternative}</title><style>{STYLE}</style>",
        f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="14"/>',
        *_heading(title, note),
        *_axes(frame, Y_NAMES.get(column, column), f"{legend}numbers: the last tenth"),
        *(_area(frame, band, styles[arm]) for arm, band in reversed(drawn.items())),
        *(_line(frame, band, styles[arm]) for arm, band in reversed(drawn.items())),
        *_labels(frame, drawn, styles, details),
        "</svg>",
    ]
    text = "\n".join(parts) + "\n"
    if out is not None:
        write_output(Path(out), text.encode())
    return text


def _frame(drawn: Mapping[str, Band], details: Mapping[str, str], top: float, size: tuple[int, int]) -> Frame:
    """Return the plotting area, which leaves space for the headings above it and the labels to its right.

    Args:
        drawn: Curves by arm.
        details: Second line of each arm's label.
        top: Height of the headings in pixels.
        size: Width and height of the picture in pixels.
    """
    low, high = visible_range(dict(drawn))
    end = max(float(band.steps[-1]) for band in drawn.values())
    x = nice_limits(0.0, end, count=6, widen=False)
    y = nice_limits(low, high, count=6, widen=False)
    names = [f"{arm} −0000" for arm in drawn]
    labels = max(*(_text_width(name, 19) for name in names), *(_text_width(details[arm], 15) for arm in drawn))
    return Frame(92.0, size[0] - labels - 66, top + 20, size[1] - 84.0, x, y)


def _heading(title: str, note: str) -> list[str]:
    parts = [f'<text class="title" x="34" y="52">{escape(title)}</text>'] if title else []
    below = 82 if title else 48
    return parts + ([f'<text class="note" x="34" y="{below}">{escape(note)}</text>'] if note else [])


def _axes(frame: Frame, y_name: str, legend: str) -> list[str]:
    parts = []
    for tick in frame.y.ticks:
        y = frame.y_of(tick)
        kind = "zero" if tick == 0 else "grid"
        parts.append(f'<path class="{kind}" d="M{frame.left:.1f} {y:.1f}H{frame.right:.1f}"/>')
        parts.append(_tick(frame.left - 12, y + 5.5, "end", tick))
    for tick in frame.x.ticks:
        x = frame.x_of(tick)
        parts.append(_tick(x, frame.bottom + 30, "middle", tick))
    parts.append(f'<path class="zero" d="M{frame.left:.1f} {frame.bottom:.1f}H{frame.right:.1f}"/>')
    middle = (frame.left + frame.right) / 2
    steps = f"environment steps · {legend}"
    parts.append(f'<text class="axis" x="{middle:.1f}" y="{frame.bottom + 60:.1f}" text-anchor="middle">{steps}</text>')
    turn = f'transform="translate(34 {(frame.top + frame.bottom) / 2:.1f}) rotate(-90)"'
    return [*parts, f'<text class="axis" {turn} text-anchor="middle">{escape(y_name)}</text>']


def _tick(x: float, y: float, anchor: str, value: float) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{format_short(value)}</text>'


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
    frame: Frame, drawn: Mapping[str, Band], styles: Mapping[str, ArmStyle], details: Mapping[str, str]
) -> list[str]:
    """Return every arm's name, score and detail, in the order of the scores, joined to the curve's end by a thin line.

    Args:
        frame: The plotting area.
        drawn: Curves by arm.
        styles: Colours and letters by arm.
        details: Second line of each arm's label.
    """
    ends = [(frame.x_of(float(band.steps[-1])), frame.y_of(float(band.mean[-1]))) for band in drawn.values()]
    scores = [_mean_at_the_end(band) for band in drawn.values()]
    heights = spread_labels([frame.y_of(score) for score in scores], 52, frame.top + 8, frame.bottom - 8)
    parts, left = [], frame.right + 30
    for arm, (x, y), score, height in zip(drawn, ends, scores, heights, strict=True):
        colour = styles[arm].colour
        lead = f"M{x + 8:.1f} {y:.1f}C{left - 10:.1f} {y:.1f} {x + 12:.1f} {height:.1f} {left - 6:.1f} {height:.1f}"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
        parts.append(f'<path class="lead" stroke="{colour}" d="{lead}"/>')
        name = f'{escape(arm)} <tspan class="last" dx="4">{format_result(score)}</tspan>'
        parts.append(f'<text class="name" x="{left:.1f}" y="{height - 2:.1f}" fill="{colour}">{name}</text>')
        parts.append(f'<text class="detail" x="{left:.1f}" y="{height + 18:.1f}">{escape(details[arm])}</text>')
    return parts


def _details(curves: pl.DataFrame, arms: Iterable[str]) -> dict[str, str]:
    """Return each arm's settings: `α 0.001, τ 0.005`."""
    texts = {}
    for arm in arms:
        row = curves.filter(pl.col("arm") == arm).row(-1, named=True)
        target = "no target" if row["tau"] == 1 and row["period"] == 1 else f"τ {row['tau']:.6g}"
        target += f" every {row['period']}" if row["period"] > 1 else ""
        texts[arm] = f"α {row['learning_rate']:.6g}, {target}"
    return texts


def _alternative(drawn: Mapping[str, Band], column: str) -> str:
    """Return the picture in words."""
    ends = ", ".join(f"{arm} {format_result(_mean_at_the_end(band))}" for arm, band in drawn.items())
    return f"{Y_NAMES.get(column, column)} over environment steps; mean of the last tenth: {ends}"


def _mean_at_the_end(band: Band) -> float:
    """Return the mean of the last ⌈10 %⌉ points, as `comparison.scores.final_return` does for one agent."""
    return float(band.mean[-math.ceil(len(band.mean) / 10) :].mean())


def _text_width(text: str, size: float) -> float:
    """Return an upper estimate of the width of a text in pixels."""
    return 0.56 * size * len(text)
