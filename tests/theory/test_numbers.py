"""Every number of the theory, computed from the problem's definition, to the digits stated."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from digits import agrees, all_agree

from softstep import theory
from softstep.target import TargetUpdate
from softstep.theory import one_dimension, problems

C995 = TargetUpdate.from_c(0.995)


# --- A. one network ---------------------------------------------------------------------------------------------


def test_the_rate_of_lookahead_depends_on_the_curvature():
    rates = [theory.lookahead_alpha(0.5, 0.5, 5, b) for b in (0.1, 0.5, 1.0)]
    assert all_agree(rates, ".237208878 .183148933 .124075259")
    assert agrees(theory.lookahead_limit(0.5, 5), "2.245730940")


def test_low_precision_targets_stall():
    grid = np.logspace(-8, 1, 4000)
    smallest_effective_gap = {p: grid[~theory.stalls(grid, 0.999, p)].min() for p in ("bfloat16", "float16", "float32")}
    assert all_agree(smallest_effective_gap.values(), "3.93 .490 5.98e-5")
    # the grid's ratio is 1.0052, and bfloat16 rounds the gap as well
    for precision, measured in smallest_effective_gap.items():
        assert 1 <= measured / theory.stall_gap(0.999, precision) < 1.0075


# --- B. ledger and filter ---------------------------------------------------------------------------------------


def test_filter_of_c_995():
    values = (C995.mean_lag, C995.half_life, C995.cutoff, C995.noise_gain)
    assert all_agree(values, "199.000000000 138.282573 .005012552319 .002506265664")


def test_hard_copies_with_the_same_lag():
    assert TargetUpdate(0.005).lag_matched_period() == 399
    assert TargetUpdate(0.001).lag_matched_period() == 1999


def test_cadence():
    assert agrees(C995.at_cadence(4).mean_lag, "199.006265633")
    assert TargetUpdate.hard(11).mean_lag == 5


def test_batch_scaling():
    problem, update = theory.LinearTD.scalar(0.95, 1.0), TargetUpdate.from_c(0.99)

    def rate(alpha: float, c: float, batch: int) -> float:
        return 1 - problem.spectral_radius(alpha, c) ** (1 / batch)

    scaled = update.scaled_batch(8).c
    rates = (rate(0.01, update.c, 1), rate(0.08, scaled, 8), rate(0.08, update.c, 8))
    assert all_agree(rates, "2.54445749e-4 2.58934834e-4 5.63240695e-5")


# --- C. linear expected dynamics --------------------------------------------------------------------------------


def test_both():
    problem = problems.both()
    assert problem.stable_c(0.1) == [(0.0, 1.0)]
    assert problem.stable_kappa() == [(0.0, np.inf)]


def test_only_target():
    problem = problems.only_target()
    small = problem.limits().small_steps
    assert agrees(small[0].real, ".075")
    assert agrees(abs(small[0].imag), ".139194109071")
    assert np.sort((problem.limits().slow_target + 1).real) == pytest.approx([0, 0.9], abs=1e-14)
    radii = [problem.spectral_radius(0.1, c) for c in (0, 0.5, 0.9, 0.99)]
    assert all_agree(radii, "1.007596149258 1.004926387050 .999069598709 .998706098174")
    assert (problem.spectral_radius(np.geomspace(1e-6, 1e2, 200), 0) > 1).all()
    ((low, high),) = problem.stable_c(0.1)
    assert agrees(low, ".862137092312")
    assert high == 1
    ((zero, kappa),) = problem.stable_kappa()
    assert zero == 0
    assert agrees(kappa, "1.608495283")
    assert agrees(problem.spectral_radius(0.01, 0.9), "1.000506108170")


def test_target_destroys():
    problem = problems.target_destroys()
    limits = problem.limits()
    assert all_agree(np.sort(limits.small_steps.real), "-.944629373 -.084638919")
    assert all_agree(np.sort((limits.slow_target + 1).real), "1.32000000000 1.35000000000")
    ((zero, alpha),) = problem.stable_alpha(0)
    assert zero == 0
    assert agrees(alpha, "2.117232489588")
    radii = [problem.spectral_radius(0.1, c) for c in (0, 0.9, 0.99, 0.999)]
    assert all_agree(radii, ".991536108073 .996245901895 1.001332503265 1.000292211173")
    ((zero, c),) = problem.stable_c(0.1)
    assert zero == 0
    assert agrees(c, ".950177876967")
    ((kappa, infinite),) = problem.stable_kappa()
    assert agrees(kappa, ".525154853")
    assert infinite == np.inf


def test_neither_and_two_theta():
    assert agrees(problems.neither().spectral_radius(0.1, 0.99), "1.000774968611")
    assert agrees(problems.two_theta().spectral_radius(0.1, 0.99), "1.006947604376")
    for make, threshold in ((problems.neither, 5 / 6), (problems.two_theta, 1 / 2)):
        for gamma, is_stable in ((threshold - 1e-6, True), (threshold + 1e-6, False)):
            problem = make(gamma)
            assert bool(problem.stable_kappa()) is is_stable
            assert all(bool(problem.stable_c(alpha)) is is_stable for alpha in (1e-3, 0.1))


def test_resonance():
    problem = problems.resonance()
    assert pytest.approx(0.7 * np.eye(2)) == problem.B
    assert pytest.approx(np.array([[0.63, 0.81], [-0.81, 0.63]])) == problem.A
    (_, low), (high, _) = problem.stable_kappa()
    assert all_agree((low, high), ".061939718711 7.910917424146")
    (zero, low), (high, one) = problem.stable_c(0.1)
    assert (zero, one) == (0, 1)
    assert all_agree((low, high), ".410381717816 .993602884600")
    assert agrees(problem.spectral_radius(0.1, 0.9), "1.007325802227")
    assert agrees(problem.spectral_radius(0.1, 0.995), ".999912351060")
    hard = np.abs(np.linalg.eigvals(problem.hard_copy_matrix(0.1, 3))).max()
    weight = 1 - Fraction(93, 100) ** 3  # of B⁻¹A = .9·I + (81/70)·J in H_3; J rotates by a right angle
    exact = (1 - weight * Fraction(1, 10)) ** 2 + (weight * Fraction(81, 70)) ** 2
    assert hard == pytest.approx(float(exact) ** 0.5, rel=1e-15)
    assert agrees(hard, "1.006233168965")


def test_baird():
    problem = problems.baird(0.99)
    assert problem.size == 7
    assert agrees(problem.limits().small_steps.real.max(), ".239250464202")
    assert agrees(problem.spectral_radius(0.01, 0), "1.002392504642")
    ((low, high),) = problem.stable_c(0.01)
    assert agrees(low, ".980203757964")
    assert high == 1
    for gamma in (15 / 17 - 1e-6, 15 / 17 + 1e-6):
        problem = problems.baird(gamma)
        assert problem.limits().small_steps_stable is (gamma < 15 / 17)
        assert problem.limits().slow_target_stable


# --- one dimension ----------------------------------------------------------------------------------------------


def test_alpha_max():
    problem = theory.LinearTD.scalar(0.9, 1.0)
    for c, text in ((0, "20.0000000000"), (0.5, "2.857142857"), (0.9, "2.099447514"), (0.99, "2.009086320")):
        assert agrees(one_dimension.alpha_max(c, 0.9, 1.0), text)
        ((_, high),) = problem.stable_alpha(c)
        assert agrees(high, text)


def test_effective_alpha():
    assert agrees(one_dimension.effective_alpha(1e-3, 0.999, 0.99, 1.0), ".000501505786")
    assert agrees(theory.LinearTD.scalar(0.99, 1.0).effective_alpha(1e-3, 0.999), ".000501505786")
    assert theory.blended_alpha(1e-3, 0.999) == pytest.approx(1e-6, rel=1e-12)


def test_rate_and_variance():
    problem = theory.LinearTD.scalar(0.9, 1.0)
    assert all_agree(one_dimension.eigenvalues(0.5, 0.9, 0.9, 1.0).real, ".990839803235 .454160196765")
    for variance in (one_dimension.variance(0.5, 0.9, 0.9, 1.0), problem.stationary_covariance(0.5, 0.9)):
        assert agrees(np.squeeze(variance.T), ".455330507144")
        assert agrees(np.squeeze(variance.Q), ".737949442613")
    ratios = one_dimension.ratios(0.5, 0.9, 0.9, 1.0)
    assert all_agree((ratios.T, ratios.Q), ".989596752633 1.603829219785")
    ratios = one_dimension.ratios(1.0, 0.9, 0.9, 1.0)
    assert all_agree((ratios.T, ratios.Q), "1.00000000000 2.80000000000")


def test_first_two_updates():
    problem = theory.LinearTD.scalar(0.9, 1.0)
    target = problem.simulate(0.5, 0.9, 2).T[:, 0]
    single = problem.simulate(theory.blended_alpha(0.5, 0.9), 0, 2).T[:, 0]
    assert all_agree(target[1:], ".995000000000 .987775000000")
    assert all_agree(single[1:], ".995000000000 .990025000000")
    difference = theory.first_difference(lambda q, t: 0.9 * t - q, 0.5, 0.9, 1.0)
    assert difference == pytest.approx(target[2] - single[2], abs=1e-16)
