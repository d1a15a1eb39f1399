"""Tests of the predictors of a study: against a plain loop, on planted outcomes, and their invariances."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import scipy.stats

from softstep.studies import predictor
from softstep.studies.predictor import (
    candidate_predictors,
    predictive_power,
    rank_predictors,
    reproducible_share,
    smooth,
)

ALPHAS, CS = np.geomspace(1e-4, 1e-1, 7), 1 - np.geomspace(1e-3, 1.0, 6)


def agents(outcome: Callable[[float, float], float], seeds: int = 1, noise: float = 0.0, key: int = 0) -> pl.DataFrame:
    """Return agents whose returns are the cell's outcome plus normal seed noise."""
    generator = np.random.default_rng(key)
    rows = [
        {"cell": f"{alpha} {c}", "alpha": alpha, "c": c, "gamma": 0.9, "final_return": outcome(alpha, c) + deviation}
        for alpha, c in itertools.product(ALPHAS, CS)
        for deviation in noise * generator.normal(size=seeds)
    ]
    return pl.DataFrame(rows)


@pytest.fixture
def few_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "REPLICATES", 200)


def test_the_average_is_weighted_by_the_gaussian_kernel() -> None:
    x, y, width = np.array([0.1, 0.4, 0.7]), np.array([3.0, -1.0, 2.0]), 0.3
    for at in (0.0, 0.5, 2.0):
        weights = [math.exp(-(((at - each) / width) ** 2) / 2) for each in x]
        expected = sum(w * value for w, value in zip(weights, y, strict=True)) / sum(weights)
        for averages in smooth(x, np.stack([y, 2 * y]), np.array([at]), width) / [[1], [2]]:
            assert averages == pytest.approx(expected)


def test_the_average_far_from_all_points_is_the_nearest_value() -> None:
    assert smooth(np.array([0.0, 1.0]), np.array([[5.0, 7.0]]), np.array([1e3]), 0.02) == pytest.approx(7.0)


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
    ranked = rank_predictors(agents(outcome))
    assert ranked[0].name == name
    assert ranked[0].r2 > 0.8
    assert ranked[1].r2 < ranked[0].r2 - 0.05


def test_scale_and_sign_of_the_outcome_do_not_matter() -> None:
    def outcome(alpha: float, c: float) -> float:
        return math.sin(300 * alpha) + c

    before, after = (
        rank_predictors(agents(outcome)),
        rank_predictors(agents(lambda alpha, c: 5 - 3 * outcome(alpha, c))),
    )
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
    frame = agents(lambda alpha, c: alpha + c).filter(kept)
    assert frame.height == alphas * cs
    assert rank_predictors(frame) == []


def test_every_candidate_has_a_value_for_every_cell() -> None:
    frame = agents(lambda alpha, c: 0.0)
    assert list(candidate_predictors(frame)) == ["α", "c", "(1−c)α", "κ = (1−c)/α", "α_eff"]
    for meaning, values in candidate_predictors(frame).values():
        assert meaning
        assert values.shape == (frame.height,)
        assert np.isfinite(values).all()


@pytest.mark.usefixtures("few_replicates")
def test_a_candidate_that_is_undefined_somewhere_is_listed_last_with_the_number_of_such_cells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = predictor.effective_alpha_approx

    def undefined_without_target(alpha: float, c: float, a: float, b: float) -> float:
        return math.nan if c == 0 else original(alpha, c, a, b)

    monkeypatch.setattr(predictor, "effective_alpha_approx", undefined_without_target)
    *others, last = rank_predictors(agents(lambda alpha, c: math.log(alpha), seeds=2, noise=0.1))
    assert len(others) == 4
    assert (last.name, last.undefined) == ("α_eff", len(ALPHAS))
    assert math.isnan(last.r2)
    assert math.isnan(last.reproducible)
    assert all(other.undefined == 0 and math.isfinite(other.reproducible) for other in others)


# ---- without the noise of the seeds ----


def shares(name: str, frame: pl.DataFrame) -> tuple[float, float, float, float]:
    """Return the plain share of a candidate, and the reproducible one with its interval."""
    returns = [group["final_return"].to_numpy() for _, group in frame.group_by("cell", maintain_order=True)]
    cells = frame.unique("cell", keep="first", maintain_order=True)
    values = candidate_predictors(cells)[name][1]
    left_out = [cells[axis].to_numpy() == value for axis in ("alpha", "c") for value in cells[axis].unique()]
    x, means = scipy.stats.rankdata(values) / len(values), np.array([of.mean() for of in returns])
    return predictive_power(x, means, left_out), *reproducible_share(x, returns, left_out)


@pytest.mark.usefixtures("few_replicates")
@pytest.mark.parametrize("name", ["α", "(1−c)α"])
def test_the_share_of_the_reproducible_variance_tends_to_one_where_the_plain_share_does_not(name: str) -> None:
    def outcome(alpha: float, c: float) -> float:
        return math.log10(alpha if name == "α" else (1 - c) * alpha)

    truth = shares(name, agents(outcome))[0]
    plain, reproducible, low, high = np.array(
        [shares(name, agents(outcome, 8, noise, key)) for noise in (1.2, 2.4) for key in range(4)]
    ).T
    assert truth > 0.9
    assert plain.mean() < truth - 0.15
    assert reproducible.mean() == pytest.approx(truth, abs=0.1)
    assert np.sum((low <= truth) & (truth <= high)) >= 7


@pytest.mark.usefixtures("few_replicates")
def test_pure_noise_has_a_share_near_zero_whose_interval_covers_zero() -> None:
    found = np.array([shares("(1−c)α", agents(lambda alpha, c: 3.0, 5, 1.0, key)) for key in range(10)])
    _, reproducible, low, high = found.T
    assert abs(np.median(reproducible)) < 0.15
    assert np.abs(reproducible).max() < 0.6
    assert np.sum((low < 0) & (high > 0)) >= 9


@pytest.mark.usefixtures("few_replicates")
def test_without_noise_both_shares_are_equal_and_the_interval_is_a_point() -> None:
    for found in rank_predictors(agents(lambda alpha, c: math.sin(300 * alpha) + c, seeds=3)):
        assert (found.reproducible, found.low, found.high) == pytest.approx((found.r2,) * 3)


@pytest.mark.usefixtures("few_replicates")
def test_the_share_follows_its_formula_on_a_map_worked_by_hand() -> None:
    returns = [np.array(pair) for pair in ([0.0, 2.0], [0.0, 2.0], [8.0, 12.0], [18.0, 22.0])]
    left_out = [np.arange(4) == cell for cell in range(4)]
    x = np.array([0.0, 0.0, 10.0, 10.0])  # so far apart that each cell's prediction is the other one at its place
    missed = 0 + 0 + 10**2 + 10**2
    total = (1 - 31 / 3) ** 2 * 2 + (10 - 22 / 3) ** 2 + (20 - 4) ** 2
    noise = 1 + 1 + 4 + 4
    least = (scipy.stats.f.ppf(0.95, 3, 4) - 1) * noise
    expected = (total - missed) / max(total - noise, least)
    assert total - noise > least
    assert reproducible_share(x, returns, left_out)[0] == pytest.approx(expected)


def test_a_single_seed_says_nothing_of_the_noise() -> None:
    for found in rank_predictors(agents(lambda alpha, c: alpha + c)):
        assert math.isfinite(found.r2)
        assert all(map(math.isnan, (found.reproducible, found.low, found.high)))


@pytest.mark.usefixtures("few_replicates")
def test_returns_below_the_bound_count_as_the_bound() -> None:
    def crash(alpha: float, c: float) -> float:
        return -1e4 * alpha * (1 - c) if alpha > 0.02 else math.log10(alpha)

    plain, clipped = (rank_predictors(agents(crash, seeds=3, noise=0.1), bound) for bound in (-math.inf, -5.0))
    frame = agents(crash, seeds=3, noise=0.1).with_columns(pl.col("final_return").clip(lower_bound=-5.0))
    assert clipped == rank_predictors(frame)
    assert plain != clipped
