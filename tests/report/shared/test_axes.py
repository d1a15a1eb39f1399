"""Ticks, and labels that keep their distance."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep.report.shared.axes import log_ticks, nice_limits, spread_labels
from softstep.report.shared.formatting import format_power


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


@given(st.floats(-12, 12), st.floats(0.05, 20))
def test_ticks_of_a_logarithmic_axis_are_round_few_and_apart(start, decades):
    low, high = 10.0**start, 10.0 ** (start + decades)
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert all(low * (1 - 1e-9) <= tick <= high * (1 + 1e-9) for tick in ticks)
    gaps = np.diff(np.log10(ticks)) / decades  # of the axis' length
    assert gaps.min() > 0.04  # a label of 13 pixels on an axis of 300
    labels = [format_power(tick) for tick in ticks]
    assert len(set(labels)) == len(labels)
    assert not set("".join(labels)) & set("eμnpkMG")


def test_ticks_over_known_ranges():
    assert log_ticks(0.04, 0.9) == [0.05, 0.1, 0.2, 0.5]
    assert log_ticks(1e-7, 1.0) == [1e-6, 1e-4, 1e-2, 1.0]
    assert log_ticks(2.0, 7.0) == [2, 3, 4, 5, 6, 7]
    assert [format_power(v) for v in (1e-5, 3e-7, 0.0001, 20000.0, 1e5)] == [
        "10⁻⁵",
        "3 × 10⁻⁷",
        "0.0001",
        "20000",
        "10⁵",
    ]
