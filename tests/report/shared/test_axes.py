"""Ticks, short numbers and labels that keep their distance."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep.report.shared.axes import nice_limits, short, spread


def test_ticks_are_round_and_inside():
    limits = nice_limits(-230.0, 251.0, count=6, widen=False)
    assert limits.ticks == (-200, -100, 0, 100, 200)
    assert (limits.low, limits.high) == (-230, 251)


def test_a_widened_range_reaches_to_its_ticks():
    limits = nice_limits(3.0, 97.0, count=5)
    assert (limits.low, limits.high) == (0, 100)


@pytest.mark.parametrize("value", [0.0, 7.0, -3e-9])
def test_a_flat_curve_still_has_an_axis(value):
    limits = nice_limits(value, value)
    assert limits.low < value < limits.high


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (25_000, "25 k"),
        (-25_000, "−25 k"),
        (300_000, "300 k"),
        (1.5e6, "1.5 M"),
        (-200, "−200"),
        (0.25, "0.25"),
    ],
)
def test_short_numbers(value, text):
    assert short(value) == text


@given(st.lists(st.floats(0, 10), min_size=1, max_size=8))
def test_labels_keep_their_gap_and_their_order(positions):
    placed = spread(positions, 1.0, 0.0, 10.0)
    ordered = [placed[i] for i in sorted(range(len(positions)), key=lambda i: (positions[i], i))]
    assert all(b - a >= 1.0 - 1e-9 for a, b in itertools.pairwise(ordered))
    assert min(placed) >= -1e-9
    assert max(placed) <= 10 + 1e-9


def test_labels_with_room_stay_where_they_are():
    assert spread([1.0, 8.0, 4.0], 1.0, 0.0, 10.0) == [1.0, 8.0, 4.0]


def test_two_labels_that_meet_move_the_same_way_apart():
    assert spread([5.0, 5.0], 2.0, 0.0, 10.0) == [4.0, 6.0]
