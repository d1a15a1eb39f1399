"""Ticks, and labels that keep their distance."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep.report.shared.axes import nice_limits, spread_labels


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


@given(st.lists(st.floats(0, 10), min_size=1, max_size=8))
def test_labels_keep_their_gap_and_their_order(positions):
    placed = spread_labels(positions, 1.0, 0.0, 10.0)
    ordered = [placed[i] for i in sorted(range(len(positions)), key=lambda i: (positions[i], i))]
    assert all(b - a >= 1.0 - 1e-9 for a, b in itertools.pairwise(ordered))
    assert min(placed) >= -1e-9
    assert max(placed) <= 10 + 1e-9


def test_labels_that_do_not_overlap_stay_where_they_are():
    assert spread_labels([1.0, 8.0, 4.0], 1.0, 0.0, 10.0) == [1.0, 8.0, 4.0]


def test_two_equal_positions_move_apart_by_the_same_amount():
    assert spread_labels([5.0, 5.0], 2.0, 0.0, 10.0) == [4.0, 6.0]
