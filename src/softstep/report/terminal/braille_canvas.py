"""A canvas for curves in a terminal: braille dots, shading and letters, in colour or without."""

from __future__ import annotations

import itertools

import numpy as np
from rich.style import Style
from rich.text import Text

from softstep.report.shared.axes import AxisLimits
from softstep.report.shared.curves import Band
from softstep.report.shared.palette import ArmStyle

LETTER_EVERY = 12
"""Columns between an arm's letters."""

_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Bits of the four rows and two columns of dots in a braille character."""


class BrailleCanvas:
    """A grid of cells over two axes, each with a braille character of 2 by 4 dots, or a letter, in one colour."""

    def __init__(self, columns: int, rows: int, x: AxisLimits, y: AxisLimits) -> None:
        self.columns, self.rows, self._x, self._y = columns, rows, x, y
        self._dots = np.zeros((rows, columns), int)
        self._letters = np.full((rows, columns), "", dtype="<U1")
        self._colours = np.full((rows, columns), "", dtype="<U7")
        self._faint = np.zeros((rows, columns), bool)
        self._layers = np.zeros((rows, columns), int)

    def row(self, value: float) -> int:
        """Return the row of cells that contains `value`."""
        return self._dot_rows(np.array([value]))[0] // 4

    def _dot_rows(self, values: np.ndarray) -> list[int]:
        """Return rows of dots, counted from the top."""
        return [round(row) for row in ((1 - self._y.fraction(values)) * (4 * self.rows - 1)).tolist()]

    def _dots_of(self, band: Band, values: np.ndarray) -> dict[int, int]:
        """Return the row of dots for every column of dots that the band covers, of `values` at the band's steps."""
        x = self._x
        steps = np.linspace(x.low, x.high, 2 * self.columns)
        pitch = (x.high - x.low) / (2 * self.columns)
        covered = np.flatnonzero((steps >= band.steps[0] - pitch) & (steps <= band.steps[-1] + pitch))
        rows = self._dot_rows(np.interp(steps[covered], band.steps, values))
        return dict(zip(covered.tolist(), rows, strict=True))

    def line(self, band: Band, style: ArmStyle) -> None:
        """Draw the mean as a connected line."""
        previous: int | None = None
        for column, end in self._dots_of(band, band.mean).items():
            step = 1 if previous is None or end >= previous else -1
            first = end if previous is None or previous == end else previous + step
            for row in range(first, end + step, step):
                self._put(row, column, style.colour, faint=False)
            previous = end

    def shade(self, band: Band, style: ArmStyle) -> None:
        """Draw sparse dots from low to high; the colours of overlapping bands alternate."""
        lows, highs = (self._dots_of(band, edge) for edge in (band.low, band.high))
        touched = np.zeros_like(self._faint)
        for column, low in lows.items():
            for row in range(highs[column], low + 1):
                if row % 2 == 0 and (row // 2 + column) % 2 == 0:
                    cell = (row // 4, column // 2)
                    touched[cell] = True
                    own_colour = sum(cell) % (self._layers[cell] + 1) == 0
                    self._put(row, column, style.colour if own_colour else str(self._colours[cell]), faint=True)
        self._layers += touched

    def _put(self, row: int, column: int, colour: str, faint: bool) -> None:
        """Set one dot.

        Args:
            row: Row of dots from the top.
            column: Column of dots from the left.
            colour: Colour of the dot's cell.
            faint: Whether the dot belongs to a band, which a line erases.
        """
        cell = (row // 4, column // 2)
        if not faint and self._faint[cell]:
            self._dots[cell] = 0  # a line clears the shading of its cells
        self._dots[cell] |= _DOTS[row % 4, column % 2]
        self._colours[cell] = colour
        self._faint[cell] = faint

    def letters(self, band: Band, style: ArmStyle, first: int) -> None:
        """Put the arm's letter on its line, every `LETTER_EVERY` columns from `first`; other arms' letters are kept."""
        rows = {column // 2: row // 4 for column, row in self._dots_of(band, band.mean).items()}
        for column in range(first, self.columns, LETTER_EVERY):
            if column in rows and not self._letters[rows[column], column]:
                cell = (rows[column], column)
                self._letters[cell], self._colours[cell], self._faint[cell] = style.letter, style.colour, False

    def text(self, row: int, colour: bool) -> Text:
        """Return one row of cells as text."""
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
