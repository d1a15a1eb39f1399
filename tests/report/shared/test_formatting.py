"""Numbers as text."""

import math

import numpy as np
import pytest

from softstep.report.shared.formatting import (
    format_count,
    format_mean_sd,
    format_result,
    format_setting,
    format_short,
    format_thousands,
    format_two_digits,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (25_000, "25 k"),
        (-25_000, "−25 k"),
        (300_000, "300 k"),
        (1.5e6, "1.5 M"),
        (2e9, "2 G"),
        (-200, "−200"),
        (0.25, "0.25"),
    ],
)
def test_round_values_are_short(value, text):
    assert format_short(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(231.4, "231"), (1234.4, "1234"), (-99.97, "−100"), (0.01234, "0.0123"), (math.nan, "–")]
)
def test_results_are_rounded(value, text):
    assert format_result(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "0.001"), (5e-6, "5e-06"), (0.1 + 0.2, "0.3"), (1 - 1e-5, "0.99999")]
)
def test_settings_keep_their_digits_without_rounding_noise(value, text):
    assert format_setting(value) == text


@pytest.mark.parametrize(
    ("values", "text"), [([190, 210], "200 ± 14"), ([-1, -2], "−1.5 ± 0.71"), ([5.0], "5"), ([math.nan], "–")]
)
def test_a_mean_has_a_standard_deviation_from_two_seeds_on(values, text):
    assert format_mean_sd(np.array(values, float)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.3, "0.3"), (0.0, "0"), (6.66e-4, "6.7e-4"), (25_000.0, "2.5e4"), (math.inf, "–")]
)
def test_small_values_have_two_digits(value, text):
    assert format_two_digits(value) == text


def test_counts_and_thousands():
    assert (format_count(1, "seed"), format_count(2, "seed")) == ("1 seed", "2 seeds")
    assert format_thousands(1_234_567) == "1\u202f234\u202f567"
