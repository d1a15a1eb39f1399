"""The ledger, the gap and the momentum form against the recursion itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softstep import theory
from softstep.target import TargetUpdate

numbers = st.floats(-1e3, 1e3, allow_subnormal=False)
alphas = st.floats(1e-4, 10)
orders = st.sampled_from(["post", "pre"])


@st.composite
def cases(draw):
    """Draw steps, a schedule, an order and both starts, of any shape."""
    length, shape = draw(st.integers(0, 40)), draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
    steps = draw(hnp.arrays(float, (length, *shape), elements=numbers))
    weights = draw(st.one_of(st.floats(0, 0.999), hnp.arrays(float, length, elements=st.floats(0, 1))))
    q0, t0 = draw(hnp.arrays(float, shape, elements=numbers)), draw(hnp.arrays(float, shape, elements=numbers))
    return steps, draw(alphas), weights, q0, t0, draw(orders)


def recursion(steps, alpha, c, q0, t0, order="post"):
    """Run the two updates line by line.

    Args:
        steps: s_k, shape (t, ...).
        alpha: size of a gradient step.
        c: weight of the old target, a number or one per step.
        q0: initial online parameters.
        t0: initial target parameters.
        order: "post" or "pre".
    """
    weights = np.broadcast_to(c, len(steps))
    Q, T = [q0], [t0]
    for s, weight in zip(steps, weights, strict=True):
        Q.append(Q[-1] + alpha * s)
        T.append(weight * T[-1] + (1 - weight) * (Q[-1] if order == "post" else Q[-2]))
    return np.array(Q), np.array(T)


@given(cases())
def test_ledger_is_the_recursion(case):
    steps, alpha, c, q0, t0, order = case
    Q, T = recursion(steps, alpha, c, q0, t0, order)
    ledger = theory.ledger(steps, alpha, c, q0, t0, order)
    size = 1 + np.abs(Q).max() + np.abs(T).max()
    np.testing.assert_allclose(ledger.Q, Q, rtol=0, atol=1e-12 * size)
    np.testing.assert_allclose(ledger.T, T, rtol=0, atol=1e-12 * size)
    np.testing.assert_allclose(theory.gap(steps, alpha, c, q0, t0, order), Q - T, rtol=0, atol=1e-12 * size)


@given(cases())
def test_momentum_form_is_the_recursion(case):
    steps, alpha, c, q0, t0, _ = case
    Q, T = recursion(steps, alpha, c, q0, t0)
    momentum = theory.momentum_form(steps, alpha, c, q0, t0)
    size = 1 + np.abs(Q).max() + np.abs(T).max()
    np.testing.assert_allclose(momentum.Q, Q, rtol=0, atol=1e-11 * size)
    np.testing.assert_allclose(momentum.T, T, rtol=0, atol=1e-11 * size)


@given(cases())
def test_weights_reproduce_the_last_target(case):
    steps, alpha, c, q0, t0, order = case
    _, T = recursion(steps, alpha, c, q0, t0, order)
    weights = theory.ledger_weights(c, len(steps), order)
    start = theory.gap_weights(c, len(steps), order)[0]
    reproduced = q0 + alpha * np.tensordot(weights, steps, axes=1) - start * (q0 - t0)
    np.testing.assert_allclose(
        reproduced, T[-1], rtol=0, atol=1e-12 * (1 + np.abs(T).max() + np.abs(alpha * steps).sum())
    )


def test_weights_are_powers_of_c():
    ages = np.arange(50, 0, -1)
    assert theory.ledger_weights(0.9, 50) == pytest.approx(1 - 0.9**ages)
    assert theory.ledger_weights(0.9, 50, "pre") == pytest.approx(1 - 0.9 ** (ages - 1))
    assert np.diff(theory.ledger_weights(0.9, 50)[::-1], prepend=0) == pytest.approx(theory.impulse_response(0.9, 50))


def test_ledgers_longer_than_a_block():
    rng = np.random.default_rng(0)
    steps = rng.standard_normal((1000, 2))
    Q, T = recursion(steps, 0.1, 0.97, np.zeros(2), np.ones(2))
    ledger = theory.ledger(steps, 0.1, 0.97, np.zeros(2), np.ones(2))
    np.testing.assert_allclose(ledger.T, T, atol=1e-12)
    np.testing.assert_allclose(ledger.Q, Q, atol=1e-12)


@pytest.mark.parametrize("update", [TargetUpdate(0.1), TargetUpdate(0.3, 4), TargetUpdate.hard(5), TargetUpdate.none()])
def test_schedule_of_an_update(update):
    """The target moves exactly at the steps at which an update is due, and hard copies copy."""
    steps = np.ones((20, 1))
    ledger = theory.ledger(steps, 1.0, theory.schedule(update, 20), [0.0])
    changed_at = np.flatnonzero(np.diff(ledger.T[:, 0])) + 1
    assert list(changed_at) == list(range(update.period, 21, update.period))
    if update.tau == 1:
        assert ledger.T[changed_at, 0] == pytest.approx(ledger.Q[changed_at, 0])


def test_c_zero_is_the_single_network():
    rng = np.random.default_rng(1)
    steps = rng.standard_normal((30, 3))
    ledger = theory.ledger(steps, 0.2, 0.0, np.zeros(3))
    np.testing.assert_array_equal(ledger.Q, ledger.T)


def nonlinear_step(q, t):
    """Return the step of an arbitrary nonlinear function."""
    return np.tanh(t[::-1]) - q**3 + 0.1


@given(alphas.filter(lambda a: a < 1), st.floats(0, 0.999))
def test_first_updates_agree_and_second_updates_differ_by_the_formula(alpha, c):
    q0 = np.array([0.3, -0.7])
    Q, T, X = q0, q0, q0
    for update in range(2):
        Q = Q + alpha * nonlinear_step(Q, T)
        T = c * T + (1 - c) * Q
        X = X + theory.blended_alpha(alpha, c) * nonlinear_step(X, X)
        if update == 0:
            np.testing.assert_allclose(T, X, atol=1e-15)
    np.testing.assert_allclose(theory.first_difference(nonlinear_step, alpha, c, q0), T - X, atol=1e-14)


def test_the_third_equation_is_a_scaled_q_and_equals_t_once():
    q0, alpha, c, steps = np.array([0.3, -0.7]), 0.3, 0.8, []
    Q, T, V = [q0], [q0], [q0]
    for _ in range(6):
        steps.append(nonlinear_step(Q[-1], T[-1]))
        Q.append(Q[-1] + alpha * steps[-1])
        T.append(c * T[-1] + (1 - c) * Q[-1])
        V.append(V[-1] + (1 - c) * alpha * steps[-1])
    third = theory.third_equation(np.array(steps), alpha, c, q0)
    np.testing.assert_allclose(third, V, atol=1e-15)
    np.testing.assert_allclose(third, q0 + (1 - c) * (np.array(Q) - q0), atol=1e-15)
    np.testing.assert_allclose(theory.third_equation(np.array(steps), alpha, 0, q0), Q, atol=1e-15)
    np.testing.assert_allclose(third[1], T[1], atol=1e-15)
    assert np.abs(third[2:] - np.array(T)[2:]).max(axis=1).min() > 1e-3


def test_filter_forms():
    c, n = 0.9, 400
    pulse = theory.impulse_response(c, n)
    assert theory.step_response(c, n) == pytest.approx(np.cumsum(pulse))
    omega = np.linspace(0, np.pi, 7)
    transform = (pulse * np.exp(-1j * np.outer(omega, np.arange(n)))).sum(axis=1)
    np.testing.assert_allclose(theory.frequency_response(c, omega), transform, atol=1e-12)
    assert (pulse * np.arange(n)).sum() == pytest.approx(TargetUpdate.from_c(c).mean_lag)


def test_blended_network_equals_smaller_alpha():
    """W ← c·W + (1−c)·(W + α·s(W)) equals X ← X + (1−c)α·s(X), even if c changes."""
    rng = np.random.default_rng(2)
    W = X = np.array([0.3, -0.7])
    for c in rng.uniform(0, 1, 100):
        W = c * W + (1 - c) * (W + 0.3 * nonlinear_step(W, W))
        X = X + theory.blended_alpha(0.3, c) * nonlinear_step(X, X)
    np.testing.assert_allclose(W, X, atol=1e-14)
    assert theory.blended_alpha(1.0, 0.9) == pytest.approx(0.1)
