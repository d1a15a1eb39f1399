"""The picture in the terminal: each arm's letter is on its curve, with colours and without."""

import io
import itertools
import math
import re

import pytest
from rich.console import Console

from softstep.report.shared.palette import ARMS
from softstep.report.terminal.curve_picture import CurvePicture, curve_picture

LINE = re.compile("[\u2801-\u28ff]")


def plot(text: str) -> list[str]:
    """Return the rows of the plotting area without the axis."""
    return [re.split("[│┤]", line, maxsplit=1)[1] for line in text.splitlines() if re.search("[│┤]", line)]


@pytest.fixture
def curves(make_curves):
    return make_curves(
        {"soft": lambda s, t: t / 1000, "smaller-alpha": lambda s, t: 0.0, "same-alpha": lambda s, t: 50.0}
    )


def test_a_rising_curve_rises_and_flat_ones_are_flat(curves):
    rows = plot(curve_picture(curves))
    found = {letter: [(r, c) for r, row in enumerate(rows) for c in range(56) if row[c] == letter] for letter in "S<="}
    climb = sorted(found["S"], key=lambda cell: cell[1])
    assert len(climb) >= 3
    assert all(below[0] > above[0] for below, above in itertools.pairwise(climb))
    assert {row for row, _ in found["<"]} == {len(rows) - 1}
    assert {row for row, _ in found["="]} == {(len(rows) - 1) // 2}


def test_labels_are_at_the_ends_of_the_curves(curves):
    rows = plot(curve_picture(curves))
    labels = ("S soft", "= same-alpha", "< smaller-alpha")
    found = [next(i for i, row in enumerate(rows) if row.endswith(label)) for label in labels]
    assert found == [0, (len(rows) - 1) // 2, len(rows) - 1]


def test_curves_with_equal_ends_have_a_label_each(make_curves):
    rows = plot(curve_picture(make_curves({arm: lambda s, t: 1.0 for arm in ("soft", "hard", "same-alpha")})))
    assert sum(row.rstrip().endswith(("S soft", "H hard", "= same-alpha")) for row in rows) == 3


@pytest.mark.parametrize("width", [40, 56, 80, 120])
@pytest.mark.parametrize("height", [10, 20])
def test_the_picture_fits_its_size(curves, width, height):
    lines = curve_picture(curves, width=width, height=height).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) == height


def test_ticks_are_in_the_rows_of_their_values(curves):
    text = curve_picture(curves)
    ticks = {int(match[1]): row for row, line in enumerate(text.splitlines()) if (match := re.match(r" *(\d+)┤", line))}
    assert set(ticks) == {0, 25, 50, 75, 100}
    rows = len(plot(text))
    for value, row in ticks.items():
        assert row - 1 == pytest.approx((1 - value / 100) * (rows - 1), abs=0.75)  # the title is one line


def test_the_last_line_counts_environment_steps(curves):
    assert curve_picture(curves).splitlines()[-1].endswith("100 k env. steps")


def test_a_curve_is_drawn_only_where_it_has_values(make_curves):
    half = make_curves({"soft": lambda s, t: 10.0 if t > 50_000 else math.nan, "hard": lambda s, t: 0.0})
    top = plot(curve_picture(half))[0][:60]
    drawn = [column for column, character in enumerate(top) if LINE.match(character) or character == "S"]
    assert min(drawn) >= 0.55 * max(drawn)


def test_bands_are_shaded_with_colours_and_not_without(make_curves):
    wide = make_curves({"soft": lambda s, t: 100.0 * s, "hard": lambda s, t: 400.0})
    stream = io.StringIO()
    Console(file=stream, force_terminal=True, color_system="truecolor", width=80).print(CurvePicture(wide))
    coloured = stream.getvalue()
    red, green, blue = (int(ARMS["soft"].colour[i : i + 2], 16) for i in (1, 3, 5))
    assert f"\x1b[2;38;2;{red};{green};{blue}m" in coloured  # the band is dim
    assert f"\x1b[1;38;2;{red};{green};{blue}mS" in coloured
    plain = io.StringIO()
    Console(file=plain, width=80).print(CurvePicture(wide))
    assert "\x1b" not in plain.getvalue()
    assert "3 seeds, worst to best shaded" in coloured
    assert "mean of 3 seeds" in plain.getvalue()
    assert len(LINE.findall(plain.getvalue())) < len(LINE.findall(coloured)) / 2


def test_more_arms_than_rows_fit(make_curves):
    crowd = make_curves({f"arm{number}": lambda s, t: 1.0 for number in range(20)}, seeds=1)
    assert max(map(len, curve_picture(crowd, width=60, height=8).splitlines())) <= 60


def test_a_picture_without_curves_says_so(make_curves):
    assert "No curve to draw" in curve_picture(make_curves({"soft": lambda s, t: math.nan}))
