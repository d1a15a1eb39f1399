"""Learning curves as text: braille lines, light shading over the seeds' band, labels at the ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console, ConsoleOptions
from rich.style import Style
from rich.text import Text

from softstep.report.shared.axes import Limits, nice_limits, short, spread
from softstep.report.shared.curves import Band, arms_of, bands, reach, show_range
from softstep.report.shared.palette import ArmStyle, arm_styles

if TYPE_CHECKING:
    import polars as pl

TITLES = {
    "train_return": "training return, mean of 100 episodes",
    "eval_return": "greedy return",
    "loss": "loss, mean since the last record",
    "q_mean": "largest action value, mean over a minibatch",
    "y_drift": "how far y moves in one update, mean |Δy|",
    "target_gap": "distance of the two networks, ‖Q − T‖",
}
"""What a column of the curves shows."""

MARKER_EVERY = 12
"""Columns from one of an arm's letters to the next."""

_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Braille: bits of a cell's four rows and two columns of dots."""


@dataclass(frozen=True)
class CurvePicture:
    """A picture as wide as the console it is printed on; without colours it tells arms by their letters alone."""

    curves: pl.DataFrame
    column: str = "train_return"
    height: int = 20

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        colour = console.color_system is not None and not console.no_color
        yield _draw(self.curves, self.column, min(options.max_width, 120), self.height, colour)


def curve_picture(curves: pl.DataFrame, column: str = "train_return", width: int = 80, height: int = 20) -> str:
    """The picture as plain text, at most `width` columns by `height` lines."""
    return _draw(curves, column, width, height, colour=False).plain


def _draw(curves: pl.DataFrame, column: str, width: int, height: int, colour: bool) -> Text:
    found = bands(curves, column)
    if not found:
        return Text(f"No curve to draw: no agent has a value of {column} yet.")
    styles = arm_styles(arms_of(curves))
    y = _with_margin(*show_range(found), rows=height - 3)
    x = nice_limits(0.0, float(max(band.steps[-1] for band in found.values())), count=max(2, width // 16), widen=False)
    labels = {arm: f"{styles[arm].letter} {arm}" for arm in found}
    left = max(len(short(tick)) for tick in y.ticks) + 2
    right = min(max(14, *(len(label) + 1 for label in labels.values())), width // 3)
    canvas = _Canvas(columns=max(8, width - left - right), rows=max(3, height - 3))
    for arm, band in found.items():
        if colour or len(found) == 1:
            canvas.shade(band, x, y, styles[arm])
    for arm in reversed(found):
        canvas.line(found[arm], x, y, styles[arm])
    for number, (arm, band) in enumerate(found.items()):
        canvas.letters(band, x, y, styles[arm], first=MARKER_EVERY // 2 + number * MARKER_EVERY // len(found))
    ends = _end_labels(found, y, canvas.rows)
    lines = [_title(found, column, width)]
    ticks = {canvas.row(tick, y): short(tick) for tick in y.ticks}
    for row in range(canvas.rows):
        line = Text().append(f"{ticks.get(row, ''):>{left - 1}}" + ("┤" if row in ticks else "│"), style="dim")
        line.append_text(canvas.text(row, colour))
        for arm in ends.get(row, []):
            line.append(f" {labels[arm]}"[:right], style=Style(color=styles[arm].colour, bold=True) if colour else "")
        line.truncate(width)
        lines.append(line)
    lines += _x_axis(x, left, canvas.columns)
    return Text("\n").join(lines)


def _with_margin(low: float, high: float, rows: int) -> Limits:
    """The range widened by half a row of cells at either end, and its ticks."""
    margin = 0.5 / rows * (high - low)
    return nice_limits(low - margin, high + margin, count=max(3, rows // 3), widen=False)


def _title(found: dict[str, Band], column: str, width: int) -> Text:
    """What is drawn, over how many seeds; the second half goes where there is no room."""
    seeds = max(band.seeds for band in found.values())
    title = TITLES.get(column, column)
    band = f" · {seeds} seeds, {reach(seeds)} shaded" if seeds > 1 else ""
    text = Text(title if len(title + band) > width else title + band)
    text.truncate(width, overflow="ellipsis")
    return text


def _end_labels(found: dict[str, Band], y: Limits, rows: int) -> dict[int, list[str]]:
    """The row of each arm's label: beside its curve's end, moved apart where two would meet."""
    wanted = [(1 - y.share_of(float(band.mean[-1]))) * (rows - 1) for band in found.values()]
    placed: dict[int, list[str]] = {}
    for arm, row in zip(found, spread(wanted, 1, 0, rows - 1), strict=True):
        placed.setdefault(int(np.floor(row + 0.5)), []).append(arm)
    return placed


def _x_axis(x: Limits, left: int, columns: int) -> list[Text]:
    rule, words = ["─"] * columns, [" "] * (left + columns + 4)
    for tick in x.ticks:
        column = round(x.share_of(tick) * (columns - 1))
        rule[column] = "┬"
        text = short(tick)
        begin = max(0, left + column - len(text) // 2)
        if not "".join(words[max(0, begin - 1) : begin + len(text) + 1]).strip():
            words[begin : begin + len(text)] = text
    axis = " " * (left - 1) + "└" + "".join(rule)
    return [Text(axis, style="dim"), Text("".join(words).rstrip() + " env. steps", style="dim")]


class _Canvas:
    """A grid of cells, each with eight braille dots, a letter and one colour; 2 by 4 dots to a cell."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._dots = np.zeros((rows, columns), int)
        self._letters = np.full((rows, columns), "", dtype="<U1")
        self._colours = np.full((rows, columns), "", dtype="<U7")
        self._faint = np.zeros((rows, columns), bool)
        self._layers = np.zeros((rows, columns), int)

    def row(self, value: float, y: Limits) -> int:
        """The row of cells in which `value` lies."""
        return self._heights(np.array([value]), y)[0] // 4

    def _heights(self, values: np.ndarray, y: Limits) -> list[int]:
        """Dot rows from the top."""
        return [round(height) for height in ((1 - y.share(values)) * (4 * self.rows - 1)).tolist()]

    def _dots_of(self, band: Band, values: np.ndarray, x: Limits, y: Limits) -> dict[int, int]:
        """Dot column → dot row of `values`, where the band is."""
        steps = np.linspace(x.low, x.high, 2 * self.columns)
        pitch = (x.high - x.low) / (2 * self.columns)
        covered = np.flatnonzero((steps >= band.steps[0] - pitch) & (steps <= band.steps[-1] + pitch))
        heights = self._heights(np.interp(steps[covered], band.steps, values), y)
        return dict(zip(covered.tolist(), heights, strict=True))

    def line(self, band: Band, x: Limits, y: Limits, style: ArmStyle) -> None:
        """The mean, joined from dot column to dot column."""
        begin: int | None = None
        for column, end in self._dots_of(band, band.mean, x, y).items():
            step = 1 if begin is None or end >= begin else -1
            first = end if begin is None or begin == end else begin + step
            for height in range(first, end + step, step):
                self._put(height, column, style.colour, faint=False)
            begin = end

    def shade(self, band: Band, x: Limits, y: Limits, style: ArmStyle) -> None:
        """Sparse dots from low to high; where bands overlap, their colours take turns."""
        lows, highs = (self._dots_of(band, edge, x, y) for edge in (band.low, band.high))
        touched = np.zeros_like(self._faint)
        for column, low in lows.items():
            for height in range(highs[column], low + 1):
                if height % 2 == 0 and (height // 2 + column) % 2 == 0:
                    cell = (height // 4, column // 2)
                    touched[cell] = True
                    mine = sum(cell) % (self._layers[cell] + 1) == 0
                    self._put(height, column, style.colour if mine else str(self._colours[cell]), faint=True)
        self._layers += touched

    def _put(self, height: int, column: int, colour: str, faint: bool) -> None:
        cell = (height // 4, column // 2)
        if not faint and self._faint[cell]:
            self._dots[cell] = 0  # a line clears the shading of its cells
        self._dots[cell] |= _DOTS[height % 4, column % 2]
        self._colours[cell] = colour
        self._faint[cell] = faint

    def letters(self, band: Band, x: Limits, y: Limits, style: ArmStyle, first: int) -> None:
        """The arm's letter on its line, at every `MARKER_EVERY`-th column from `first` on, others' letters spared."""
        rows = {column // 2: height // 4 for column, height in self._dots_of(band, band.mean, x, y).items()}
        for column in range(first, self.columns, MARKER_EVERY):
            if column in rows and not self._letters[rows[column], column]:
                cell = (rows[column], column)
                self._letters[cell], self._colours[cell], self._faint[cell] = style.letter, style.colour, False

    def text(self, row: int, colour: bool) -> Text:
        """One row of cells."""
        text, cells = Text(), range(self.columns)
        styles = [self._style(row, column) if colour else Style() for column in cells]
        for style, run in itertools.groupby(cells, lambda column: styles[column]):
            text.append("".join(self._character(row, column) for column in run), style=style)
        return text

    def _character(self, row: int, column: int) -> str:
        dots = int(self._dots[row, column])
        return str(self._letters[row, column]) or (chr(0x2800 + dots) if dots else " ")

    def _style(self, row: int, column: int) -> Style:
        if self._character(row, column) == " ":
            return Style()
        letter = bool(self._letters[row, column])
        return Style(color=str(self._colours[row, column]), dim=bool(self._faint[row, column]) or None, bold=letter)
