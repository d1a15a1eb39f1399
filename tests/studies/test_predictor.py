"""Tests of the predictors of a study: against a plain loop, on planted outcomes, and their invariances."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from softstep.studies.predictor import candidate_predictors, predictive_power, rank_predictors, smooth

ALPHAS, CS = np.geomspace(1e-4, 1e-1, 7), 1 - np.geomspace(1e-3, 1.0, 6)


def cells(outcome: Callable[[float, float], float]) -> pl.DataFrame:
    rows = [
        {"alpha": alpha, "c": c, "gamma": 0.9, "mean": outcome(alpha, c)} for alpha, c in itertools.product(ALPHAS, CS)
    ]
    return pl.DataFrame(rows)


def test_the_average_is_weighted_by_the_gaussian_kernel() -> None:
    x, y, width = np.array([0.1, 0.4, 0.7]), np.array([3.0, -1.0, 2.0]), 0.3
    for at in (0.0, 0.5, 2.0):
        weights = [math.exp(-(((at - each) / width) ** 2) / 2) for each in x]
        expected = sum(w * value for w, value in zip(weights, y, strict=True)) / sum(weights)
        assert smooth(x, y, np.array([at]), width) == pytest.approx(expected)


def test_the_average_far_from_all_points_is_the_nearest_value() -> None:
    assert smooth(np.array([0.0, 1.0]), np.array([5.0, 7.0]), np.array([1e3]), 0.02) == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("α", lambda alpha, c: math.log(alpha)),
        ("c", lambda alpha, c: -math.log(1 - c)),
        ("(1−c)α", lambda alpha, c: math.log((1 - c) * alpha)),
        ("κ = (1−c)/α", lambda alpha, c: math.log((1 - c) / alpha)),
    ],
)
def test_the_number_that_decides_the_outcome_ranks_first(name: str, outcome: Callable[[float, float], float]) -> None:
    ranked = rank_predictors(cells(outcome))
    assert ranked[0].name == name
    assert ranked[0].r2 > 0.8
    assert ranked[1].r2 < ranked[0].r2 - 0.05


def test_scale_and_sign_of_the_outcome_do_not_matter() -> None:
    def outcome(alpha: float, c: float) -> float:
        return math.sin(300 * alpha) + c

    before, after = rank_predictors(cells(outcome)), rank_predictors(cells(lambda alpha, c: 5 - 3 * outcome(alpha, c)))
    for old, new in zip(before, after, strict=True):
        assert (old.name, old.meaning) == (new.name, new.meaning)
        assert (old.r2, old.r2_rows, old.r2_columns) == pytest.approx((new.r2, new.r2_rows, new.r2_columns))


def test_a_constant_outcome_has_nothing_to_predict() -> None:
    x = np.linspace(0, 1, 6)
    assert math.isnan(predictive_power(x, np.full(6, 2.0), [x < 0.5, x >= 0.5]))


def test_left_out_values_do_not_enter_their_own_prediction() -> None:
    x, y = np.linspace(0, 1, 8), np.array([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    half = x < 0.5
    assert predictive_power(x, y, [half, ~half]) == pytest.approx(0.0)  # each half predicts its own value for the other


@pytest.mark.parametrize(("alphas", "cs"), [(2, 3), (3, 2)])
def test_small_maps_are_not_ranked(alphas: int, cs: int) -> None:
    kept = pl.col("alpha").is_in(ALPHAS[:alphas]) & pl.col("c").is_in(CS[:cs])
    frame = cells(lambda alpha, c: alpha + c).filter(kept)
    assert frame.height == alphas * cs
    assert rank_predictors(frame) == []


def test_every_candidate_has_a_value_for_every_cell() -> None:
    frame = cells(lambda alpha, c: 0.0)
    for meaning, values in candidate_predictors(frame).values():
        assert meaning
        assert values.shape == (frame.height,)
        assert np.isfinite(values).all()
