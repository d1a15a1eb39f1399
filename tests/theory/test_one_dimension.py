"""Closed forms in one dimension, and weight averages, against the general solver and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from softstep import theory
from softstep.theory import one_dimension as closed
from softstep.theory.averaging import round_to

a_values, b_values = st.floats(-3, 3), st.floats(0.1, 3)
alphas, cs = st.floats(1e-3, 1.5), st.floats(0, 0.99)


@given(alphas, cs, a_values, b_values)
def test_eigenvalues(alpha, c, a, b):
    general = np.linalg.eigvals(theory.LinearTD.scalar(a, b).iteration_matrix(alpha, c))
    np.testing.assert_allclose(np.poly(closed.eigenvalues(alpha, c, a, b)), np.poly(general), atol=1e-9)


@given(cs, a_values, b_values)
def test_alpha_max(c, a, b):
    assume(abs(b - a) > 1e-3)
    windows = theory.LinearTD.scalar(a, b).stable_alpha(c)
    limit = closed.alpha_max(c, a, b)
    assert windows == ([(0.0, pytest.approx(limit, rel=1e-9))] if limit else [])


@given(st.floats(0.01, 1), st.floats(0, 0.99), st.floats(0.01, 0.99))
def test_variances_and_ratios_and_their_strict_order(alpha, c, a):
    b, problem = 1.0, theory.LinearTD.scalar(a, 1.0)
    assume(alpha < 0.999 * closed.alpha_max(c, a, b))
    exact, general = closed.variance(alpha, c, a, b), problem.stationary_covariance(alpha, c)
    assert pytest.approx(general.T.item(), rel=1e-6) == exact.T
    assert pytest.approx(general.Q.item(), rel=1e-6) == exact.Q
    rate = closed.eigenvalues(alpha, c, a, b).real[0]
    ratios, single = closed.ratios(alpha, c, a, b), closed.single_variance(rate, b - a)
    assert pytest.approx(exact.T / single, rel=1e-6) == ratios.T
    assert pytest.approx(exact.Q / single, rel=1e-6) == ratios.Q
    if c > 0.01 and alpha < 0.99:
        assert exact.T < single < exact.Q
    if closed.follows_single(alpha, c, b):
        assert pytest.approx(1) == ratios.T


@given(st.floats(1e-3, 0.9), cs, st.floats(0.01, 0.95))
def test_effective_alpha(alpha, c, a):
    exact = closed.effective_alpha(alpha, c, a, 1.0)
    assert exact == pytest.approx(theory.LinearTD.scalar(a, 1.0).effective_alpha(alpha, c), rel=1e-6)
    assert (1 - exact * (1 - a)) == pytest.approx(closed.eigenvalues(alpha, c, a, 1.0)[0].real, rel=1e-9)
    small = closed.effective_alpha_approx(alpha, c, a, 1.0)
    assert small <= exact * (1 + 1e-12)  # the approximation drops a positive square


def test_effective_alpha_is_nan_for_complex_eigenvalues():
    assert np.isnan(closed.effective_alpha(0.5, 0.5, -5.0, 1.0))


def test_single_variance_agrees_with_the_general_solver_at_c_zero():
    assert closed.single_variance(1 - 0.3 * 0.1, 0.1) == pytest.approx(
        theory.LinearTD.scalar(0.9, 1.0).stationary_covariance(0.3, 0).T.item()
    )


@given(st.floats(0.05, 0.95), st.floats(0, 0.95), st.floats(-0.9, 0.9))
def test_t_follows_a_single_network_iff_follows_single(alpha, c, a):
    """T decays from a start by one factor per step iff c = 0 or αb = 1; then the rate is (1−c)α."""
    assume(abs(a) > 1e-3 and (c == 0 or c > 1e-2))
    for step in (alpha, 1.0):
        T = theory.LinearTD.scalar(a, 1.0).simulate(step, c, 3).T[:, 0]
        single = theory.LinearTD.scalar(a, 1.0).simulate(theory.blended_alpha(step, c), 0, 3).T[:, 0]
        assert T[1] == pytest.approx(single[1])
        assert (pytest.approx(single, rel=1e-6) == T) == closed.follows_single(step, c, 1.0)


# --- averaging -------------------------------------------------------------------------------------------------------


@given(st.floats(0.05, 1.5), st.floats(0.05, 0.95), st.integers(1, 7), st.floats(0.1, 1))
def test_lookahead_by_simulation(alpha, c, k, b):
    slow = fast = 1.0
    for _ in range(k):
        fast -= alpha * b * fast
    slow = c * slow + (1 - c) * fast
    rate = theory.lookahead_alpha(alpha, c, k, b)
    if np.isnan(rate):
        assert slow < 0
    else:
        assert (1 - rate * b) ** k == pytest.approx(slow, rel=1e-9, abs=1e-12)
    if k == 1:
        assert rate == pytest.approx((1 - c) * alpha)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("c", [0.2, 0.5, 0.9])
def test_lookahead_stops_contracting_at_its_limit(c, k):
    limit = theory.lookahead_limit(c, k)
    for factor, contracts in ((1 - 1e-6, True), (1 + 1e-6, False)):
        assert (abs(c + (1 - c) * (1 - limit * factor) ** k) < 1) is contracts


def test_ema_variance_ratio_by_lyapunov():
    """Without feedback from T to Q (a = 0), the ratio is Var T / Var Q of the general solver."""
    covariance = theory.LinearTD.scalar(0.0, 1.0).stationary_covariance(0.3, 0.9)
    assert theory.ema_variance_ratio(0.3, 0.9, 1.0) == pytest.approx(covariance.T.item() / covariance.Q.item())


@pytest.mark.parametrize(("precision", "dtype"), [("float16", np.float16), ("float32", np.float32)])
def test_rounding_agrees_with_numpy(precision, dtype):
    values = np.random.default_rng(0).uniform(0.01, 10, 10_000)
    np.testing.assert_array_equal(round_to(values, precision), values.astype(dtype).astype(float))
