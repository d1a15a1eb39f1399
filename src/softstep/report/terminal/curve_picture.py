"""Learning curves as text: braille lines, light shading over the seeds' band, labels at the ends of the lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console, ConsoleOptions
from rich.style import Style
from rich.text import Text

from softstep.report.shared.axes import AxisLimits, nice_limits, spread_labels
from softstep.report.shared.curves import Band, arms_of, band_meaning, bands, visible_range
from softstep.report.shared.formatting import format_short
from softstep.report.shared.palette import ArmStyle, arm_styles
from softstep.report.terminal.braille_canvas import LETTER_EVERY, BrailleCanvas

if TYPE_CHECKING:
    import polars as pl

TITLES = {
    "train_return": "training return, mean of 100 episodes",
    "eval_return": "greedy return",
    "loss": "loss, mean since the previous record",
    "q_mean": "largest action value, mean over a minibatch",
    "y_drift": "how far y moves in one update, mean |Δy|",
    "target_gap": "distance between the two networks, ‖Q − T‖",
}
"""Title of the picture by column of the curves."""


@dataclass(frozen=True)
class CurvePicture:
    """A picture as wide as its console; without colours, letters alone distinguish the arms."""

    curves: pl.DataFrame
    column: str = "train_return"
    height: int = 20

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        colour = console.color_system is not None and not console.no_color
        yield _draw(self.curves, self.column, min(options.max_width, 120), self.height, colour)


def curve_picture(curves: pl.DataFrame, column: str = "train_return", width: int = 80, height: int = 20) -> str:
    """Return the picture as plain text.

    Args:
        curves: The run's table of curves.
        column: The column to draw.
        width: Largest number of columns.
        height: Number of lines.
    """
    return _draw(curves, column, width, height, colour=False).plain


def _draw(curves: pl.DataFrame, column: str, width: int, height: int, colour: bool) -> Text:
    drawn = bands(curves, column)
    if not drawn:
        return Text(f"No curve to draw: no agent has a value of {column} yet.")
    styles = arm_styles(arms_of(curves))
    labels = {arm: f"{styles[arm].letter} {arm}" for arm in drawn}
    y = _with_margin(*visible_range(drawn), rows=height - 3)
    end = max(float(band.steps[-1]) for band in drawn.values())
    x = nice_limits(0.0, end, count=max(2, width // 16), widen=False)
    left = max(len(format_short(tick)) for tick in y.ticks) + 2
    right = min(max(14, *(len(label) + 1 for label in labels.values())), width // 3)
    canvas = BrailleCanvas(max(8, width - left - right), max(3, height - 3), x, y)
    shaded = colour or len(drawn) == 1  # without colours, the dots of several arms look alike
    _paint(canvas, drawn, styles, shaded)
    end_labels = _end_labels(drawn, y, canvas.rows)
    ticks = {canvas.row(tick): format_short(tick) for tick in y.ticks}
    lines = [_title(drawn, column, width, shaded)]
    for row in range(canvas.rows):
        line = Text().append(f"{ticks.get(row, ''):>{left - 1}}" + ("┤" if row in ticks else "│"), style="dim")
        line.append_text(canvas.text(row, colour))
        for arm in end_labels.get(row, []):
            line.append(f" {labels[arm]}"[:right], style=Style(color=styles[arm].colour, bold=True) if colour else "")
        line.truncate(width)
        lines.append(line)
    lines += _x_axis(x, left, canvas.columns)
    return Text("\n").join(lines)


def _paint(canvas: BrailleCanvas, drawn: dict[str, Band], styles: dict[str, ArmStyle], shaded: bool) -> None:
    """Draw bands, then lines with the first arm on top, then letters.

    Args:
        canvas: The canvas to draw on.
        drawn: Curves by arm.
        styles: Colours and letters by arm.
        shaded: Whether bands are drawn.
    """
    if shaded:
        for arm, band in drawn.items():
            canvas.shade(band, styles[arm])
    for arm in reversed(drawn):
        canvas.line(drawn[arm], styles[arm])
    for number, (arm, band) in enumerate(drawn.items()):
        canvas.letters(band, styles[arm], first=LETTER_EVERY // 2 + number * LETTER_EVERY // len(drawn))


def _with_margin(low: float, high: float, rows: int) -> AxisLimits:
    """Widen the range by half a row of cells at either end, and choose its ticks."""
    margin = 0.5 / rows * (high - low)
    return nice_limits(low - margin, high + margin, count=max(3, rows // 3), widen=False)


def _title(drawn: dict[str, Band], column: str, width: int, shaded: bool) -> Text:
    """Return what is drawn and over how many seeds.

    Args:
        drawn: Curves by arm.
        column: The column of the curves.
        width: Columns of the picture; the seeds are left out if they do not fit.
        shaded: Whether bands are drawn.
    """
    seeds = max(band.seeds for band in drawn.values())
    title = TITLES.get(column, column)
    shading = f"{seeds} seeds, {band_meaning(seeds)} shaded" if shaded else f"mean of {seeds} seeds"
    addition = f" · {shading}" if seeds > 1 else ""
    text = Text(title if len(title + addition) > width else title + addition)
    text.truncate(width, overflow="ellipsis")
    return text


def _end_labels(drawn: dict[str, Band], y: AxisLimits, rows: int) -> dict[int, list[str]]:
    """Return the arms with a label in each row: beside the curve's end, or moved apart from other labels."""
    wanted = [(1 - y.fraction_of(float(band.mean[-1]))) * (rows - 1) for band in drawn.values()]
    arms_by_row: dict[int, list[str]] = {}
    for arm, row in zip(drawn, spread_labels(wanted, 1, 0, rows - 1), strict=True):
        arms_by_row.setdefault(int(np.floor(row + 0.5)), []).append(arm)
    return arms_by_row


def _x_axis(x: AxisLimits, left: int, columns: int) -> list[Text]:
    """Return a ruler of environment steps, and below it the labels of its ticks that do not overlap."""
    ruler, labels = ["─"] * columns, [" "] * (left + columns + 4)
    for tick in x.ticks:
        column = round(x.fraction_of(tick) * (columns - 1))
        ruler[column] = "┬"
        text = format_short(tick)
        begin = max(0, left + column - len(text) // 2)
        if not "".join(labels[max(0, begin - 1) : begin + len(text) + 1]).strip():
            labels[begin : begin + len(text)] = text
    axis = " " * (left - 1) + "└" + "".join(ruler)
    return [Text(axis, style="dim"), Text("".join(labels).rstrip() + " env. steps", style="dim")]
