"""Statistics compared with SciPy and rliable, with examples worked by hand, and with their own guarantees."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from rliable import library, metrics

from softstep.stats import (
    EXACT,
    exact_interval,
    holm,
    interquartile_mean,
    mean_interval,
    mean_intervals,
    paired_difference,
    performance_profile,
    probability_of_improvement,
    restricted_mean,
    return_statistics,
    sign_flip_p,
    welch_interval,
)

PROBABILITIES = st.lists(st.floats(0, 1) | st.just(math.nan), max_size=6)


def normal(count, seed=0, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1.0, count)


def scipy_sign_flip(differences):
    """Return the p-value of SciPy's exact permutation test, which flips signs when it has one sample."""
    return scipy.stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=True
    ).pvalue


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("count", [2, 9])
def test_the_paired_interval_equals_scipys(count, level):
    a, b = normal(count), normal(count, 1, 0.5)
    found = paired_difference(a, b, level)
    interval = scipy.stats.ttest_rel(a, b).confidence_interval(level)
    assert found.estimate == pytest.approx(a.mean() - b.mean())
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.n == count


@pytest.mark.parametrize("differences", [normal(2), normal(8, 1, 0.7), normal(11, 2, 0.3), np.arange(-2.0, 6.0)])
def test_the_exact_sign_flip_p_equals_scipys(differences):
    assert sign_flip_p(differences) == pytest.approx(scipy_sign_flip(differences), abs=1e-12)


def test_rounding_does_not_break_ties():
    assert sign_flip_p(np.full(10, 0.1)) == 2 / 2**10
    assert sign_flip_p(np.array([0.1, 0.2, -0.3, 1e-17])) == 1.0


def test_equal_samples_have_a_p_of_one():
    same = normal(8)
    found = paired_difference(same, same)
    assert (found.estimate, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_every_pattern_counts_at_the_largest_exact_sample_size():
    assert sign_flip_p(np.ones(EXACT)) == 2 / 2**EXACT


@pytest.mark.parametrize("count", [EXACT - 8, EXACT + 5])
def test_the_p_of_integers_matches_the_distribution_of_their_signed_sum(count):
    """Above the exact sample sizes, random patterns approximate the exact p and repeat."""
    differences = np.rint(10 * normal(count, 3, 0.3))
    sums = Counter({0.0: 1})
    for d in differences:
        sums = Counter({s: sums[s - d] + sums[s + d] for s in {s + sign * d for s in sums for sign in (-1, 1)}})
    exact = sum(times for s, times in sums.items() if abs(s) >= abs(differences.sum())) / 2**count
    found = sign_flip_p(differences)
    assert 0.05 < exact < 0.95
    assert found == pytest.approx(exact, abs=1e-12 if count <= EXACT else 0.006)
    assert found == sign_flip_p(differences)


def test_p_is_never_zero():
    assert sign_flip_p(np.ones(40)) == 1 / 100_001


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_pairs_have_neither_interval_nor_p(count):
    found = paired_difference(normal(count), normal(count, 1))
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert math.isnan(found.p)
    assert math.isnan(found.estimate) == (count == 0)


def test_differences_that_are_not_finite_have_no_p():
    assert math.isnan(sign_flip_p(np.array([1.0, math.nan, 2.0])))


@pytest.mark.parametrize("count", [8, 20])
@pytest.mark.parametrize(
    ("draw", "least"),
    [
        (lambda g, size: g.normal(0, 1, size), 0.93),
        (lambda g, size: g.gamma(4, 1, size) - 4, 0.93),
        (lambda g, size: g.exponential(1, size) - 1, 0.88),
    ],
    ids=["normal", "skewness 1", "skewness 2"],
)
def test_the_interval_covers_the_true_mean(draw, least, count):
    samples = draw(np.random.default_rng(count), (1_500, count))
    covered = [low <= 0 <= high for low, high in map(mean_interval, samples)]
    assert np.mean(covered) >= least


def test_the_intervals_of_columns_equal_scipys():
    columns = np.random.default_rng(6).normal(0, 1, (6, 4))
    expected = scipy.stats.ttest_1samp(columns, 0).confidence_interval(0.9)
    np.testing.assert_allclose(mean_intervals(columns, 0.9), expected)
    assert np.isnan(mean_intervals(columns[:1])).all()


def test_the_sign_flip_test_keeps_its_level():
    samples = np.random.default_rng(5).normal(0, 1, (1_000, 8))
    assert np.mean([sign_flip_p(sample) <= 0.05 for sample in samples]) == pytest.approx(0.05, abs=0.02)


def test_holms_example():
    """The example of Wikipedia's "Holm–Bonferroni method": H₁ and H₄ are rejected at 5 %, the others are not."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_does_not_count_missing_p_values():
    adjusted = holm([0.01, math.nan, 0.04])
    assert adjusted[::2] == pytest.approx([0.02, 0.04])
    assert math.isnan(adjusted[1])
    assert holm([]) == []


@given(PROBABILITIES)
def test_holm_is_bonferroni_closed_over_every_set_of_hypotheses(p):
    finite = [i for i in range(len(p)) if not math.isnan(p[i])]
    sets = [s for size in range(1, len(finite) + 1) for s in itertools.combinations(finite, size)]
    adjusted = holm(p)
    for i in finite:
        assert adjusted[i] == pytest.approx(max(min(1, len(s) * min(p[j] for j in s)) for s in sets if i in s))


@given(PROBABILITIES)
def test_holm_keeps_the_order_and_never_lowers_a_p(p):
    pairs = sorted((raw, new) for raw, new in zip(p, holm(p), strict=True) if not math.isnan(raw))
    assert all(raw <= new <= 1 for raw, new in pairs)
    assert [new for _, new in pairs] == sorted(new for _, new in pairs)


@given(
    st.lists(st.tuples(st.floats(1, 200), st.booleans()), min_size=1, max_size=12),
    st.sampled_from([50.0, 100.0, 250.0]),
)
def test_the_restricted_mean_is_the_area_under_the_kaplan_meier_curve(runs, budget):
    times, solved = np.array([t for t, _ in runs]), np.array([s for _, s in runs])
    cut, events = np.where(solved, np.minimum(times, budget), budget), solved & (times <= budget)
    sample = scipy.stats.CensoredData(uncensored=cut[events], right=cut[~events])
    survival = scipy.stats.ecdf(sample).sf
    knots = np.concatenate([[0.0], survival.quantiles[survival.quantiles < budget], [budget]])
    area = float(np.sum(np.diff(knots) * survival.evaluate(knots[:-1])))
    assert restricted_mean(times, solved, budget) == pytest.approx(area)


def test_an_unsolved_run_counts_as_the_whole_budget_wherever_it_stopped():
    assert restricted_mean(np.array([10.0, 30.0, math.nan]), np.array([True, False, False]), 100.0) == 70.0


@pytest.mark.parametrize(("count", "budget"), [(0, 10.0), (2, 0.0), (2, math.nan)])
def test_a_restricted_mean_needs_runs_and_a_budget(count, budget):
    with pytest.raises(ValueError, match="at least one run"):
        restricted_mean(np.ones(count), np.ones(count, bool), budget)


def test_the_interquartile_mean_averages_the_middle_half():
    assert interquartile_mean(np.array([-1e6, 1.0, 2.0, 1e6])) == 1.5
    assert interquartile_mean(np.array([0.0, 1.0, 2.0, 4.0, 90.0])) == pytest.approx(7 / 3)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40))
def test_the_interquartile_mean_equals_rliables(values):
    theirs = metrics.aggregate_iqm(np.array(values)[:, None])
    assert interquartile_mean(np.array(values)) == pytest.approx(theirs, rel=1e-12, abs=1e-12)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.lists(st.integers(0, 9), min_size=1, max_size=20))
def test_profiles_and_the_probability_of_improvement_equal_rliables(first, second):
    x, y = np.array(first, float), np.array(second, float)
    assert probability_of_improvement(x, y) == pytest.approx(
        metrics.probability_of_improvement(x[:, None], y[:, None]), abs=1e-12
    )
    thresholds = np.arange(-0.5, 10)
    theirs = [library.run_score_deviation(x[:, None], threshold) for threshold in thresholds]
    np.testing.assert_allclose(performance_profile(x, thresholds), theirs)


@pytest.mark.parametrize(("successes", "count"), [(0, 3), (2, 3), (3, 3), (7, 20)])
def test_each_tail_outside_the_exact_interval_has_a_fortieth_of_the_probability(successes, count):
    low, high = exact_interval(successes, count)
    assert (low == 0) if successes == 0 else scipy.stats.binom.sf(successes - 1, count, low) == pytest.approx(0.025)
    assert (high == 1) if successes == count else scipy.stats.binom.cdf(successes, count, high) == pytest.approx(0.025)


def test_an_impossible_count_of_successes_is_rejected():
    with pytest.raises(ValueError, match="4 of 3"):
        exact_interval(4, 3)


def test_return_statistics_combine_the_single_statistics():
    returns = np.array([1.0, 2.0, 4.0, 9.0])
    found = return_statistics(returns)
    interval = scipy.stats.ttest_1samp(returns, 0).confidence_interval()
    assert found == pytest.approx((4.0, 3.0, math.sqrt(38 / 3), interval.low, interval.high))


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=9), st.lists(st.floats(-100, 100), min_size=2, max_size=9))
def test_welchs_interval_is_that_of_scipy(a, b):
    groups = [(float(np.mean(values)), float(np.std(values, ddof=1)), len(values)) for values in (a, b)]
    low, high = welch_interval(*groups)
    if groups[0][1] ** 2 + groups[1][1] ** 2 < 1e-12:
        assert high - low < 1e-3
        return
    expected = scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-6)


def test_welchs_interval_needs_two_values_in_each_group():
    assert all(map(math.isnan, welch_interval((1.0, math.nan, 1), (2.0, 1.0, 5))))
    assert welch_interval((3.0, 0.0, 4), (1.0, 0.0, 2)) == (2.0, 2.0)
    narrow, wide = (welch_interval((3.0, 1.0, 4), (1.0, 2.0, 5), level) for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < 2 < narrow[1] < wide[1]
