"""Statistics over environments, compared with rliable, with repeated samples, and with their own guarantees."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from rliable import library, metrics

from softstep.stats import (
    improvement_interval,
    interquartile_mean,
    iqm_interval,
    iqm_over_environments,
    normalized,
    probability_of_improvement,
)

SCORES = st.integers(-5, 5).map(float)
SAMPLES = st.lists(st.lists(SCORES, min_size=1, max_size=6), min_size=1, max_size=4)


def by_name(samples: list[Any]) -> dict[str, np.ndarray]:
    return {f"env-{number}": np.array(sample, float) for number, sample in enumerate(samples)}


def normal(seeds: tuple[int, ...], key: int, shift: float = 0.0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(key)
    return by_name([shift + number + generator.normal(size=count) for number, count in enumerate(seeds)])


def matrix(scores: dict[str, np.ndarray]) -> np.ndarray:
    """Return equally many scores per environment as rliable takes them: (seeds, environments)."""
    return np.stack(list(scores.values()), axis=1)


def test_scores_are_zero_at_the_lowest_return_and_one_at_the_highest() -> None:
    assert normalized(np.array([-500.0, -150.0, 200.0, 270.0]), -500.0, 200.0).tolist() == [0.0, 0.5, 1.0, 1.1]


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0), (-math.inf, 0.0), (0.0, math.nan)])
def test_a_scale_needs_two_different_finite_ends(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="are no scale: give finite returns with low < high"):
        normalized(np.zeros(2), low, high)


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(SCORES, min_size=n, max_size=n), min_size=1, max_size=4)))
def test_with_equally_many_seeds_the_iqm_is_rliables(samples: list[list[float]]) -> None:
    scores = by_name(samples)
    assert iqm_over_environments(scores) == pytest.approx(metrics.aggregate_iqm(matrix(scores)))


@given(SAMPLES)
def test_with_unequal_numbers_it_is_rliables_of_scores_repeated_to_equal_numbers(samples: list[list[float]]) -> None:
    multiple = math.lcm(*map(len, samples))
    repeated = matrix(by_name([np.repeat(sample, multiple // len(sample)) for sample in samples]))
    assert iqm_over_environments(by_name(samples)) == pytest.approx(metrics.aggregate_iqm(repeated))


def test_an_environment_with_more_seeds_weighs_no_more() -> None:
    scores = by_name([np.zeros(20), np.ones(10)])
    assert iqm_over_environments(scores) == 0.5
    assert interquartile_mean(np.concatenate(list(scores.values()))) < 0.3


def test_the_iqm_interval_is_rliables() -> None:
    scores = normal((20, 20, 20), 0)
    _, ends = library.get_interval_estimates(
        {"a": matrix(scores)}, metrics.aggregate_iqm, reps=2_000, random_state=np.random.RandomState(1)
    )
    found = iqm_interval(scores, replicates=8_000)
    assert found.estimate == iqm_over_environments(scores)
    width = found.high - found.low
    assert (found.low, found.high) == pytest.approx(tuple(ends["a"].ravel()), abs=0.06 * width)


def test_the_improvement_and_its_interval_are_rliables() -> None:
    first, second = normal((20, 20), 2, 0.4), normal((20, 20), 3)
    found = improvement_interval(first, second, replicates=8_000)
    pair = {"a,b": (matrix(first), matrix(second))}
    estimates, ends = library.get_interval_estimates(
        pair, metrics.probability_of_improvement, reps=2_000, random_state=np.random.RandomState(1)
    )
    assert found.estimate == pytest.approx(float(estimates["a,b"]))
    width = found.high - found.low
    assert (found.low, found.high) == pytest.approx(tuple(ends["a,b"].ravel()), abs=0.06 * width)


@given(SAMPLES, SAMPLES)
def test_the_improvement_is_the_mean_over_environments(ours: list[list[float]], theirs: list[list[float]]) -> None:
    count = min(len(ours), len(theirs))
    first, second = by_name(ours[:count]), by_name(theirs[:count])
    expected = [probability_of_improvement(first[name], second[name]) for name in first]
    found = improvement_interval(first, dict(reversed(second.items())), replicates=20)
    assert found.estimate == pytest.approx(np.mean(expected))
    assert 0 <= found.low <= found.high <= 1


@pytest.mark.parametrize("kind", ["iqm", "improvement"])
def test_intervals_cover_the_truth_with_twenty_and_ten_seeds(kind: str) -> None:
    seeds, shift, covered = (20, 10, 20), 0.5, 0
    truth = float(scipy.stats.norm.cdf(shift / math.sqrt(2)))
    if kind == "iqm":
        big = np.random.default_rng(0).normal(size=(60_000, 3)) + np.arange(3)
        truth = interquartile_mean(big.ravel())
    for key in range(100):
        if kind == "iqm":
            found = iqm_interval(normal(seeds, key), replicates=400)
        else:
            found = improvement_interval(normal(seeds, key, shift), normal(seeds, 1_000 + key), replicates=400)
        covered += found.low <= truth <= found.high
    assert 86 <= covered <= 100


def test_scores_need_environments_seeds_and_the_same_environments_on_both_sides() -> None:
    with pytest.raises(ValueError, match="at least one environment"):
        iqm_over_environments({})
    with pytest.raises(ValueError, match="env-1"):
        iqm_interval(by_name([[1.0], []]))
    with pytest.raises(ValueError, match="different environments"):
        improvement_interval({"a": np.ones(1)}, {"b": np.ones(1)})
