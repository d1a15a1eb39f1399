"""Spectra against simulation, covariances against noise, limits, and properties of named problems."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep import theory
from softstep.target import TargetUpdate
from softstep.theory import problems


def random_problem(seed: int) -> theory.LinearTD:
    """Draw a problem of size 1 to 5; every third one is on-policy."""
    size = 1 + seed % 5
    return problems.random_mdp(seed, size + 3, size, gamma=(0.5, 0.9, 0.99)[seed % 3], on_policy=seed % 3 == 0)


def random_pair(seed: int, problem: theory.LinearTD) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    alpha = rng.uniform(0.05, 1.5) / np.linalg.eigvalsh(problem.B).max()
    return float(alpha), float(rng.choice([0.0, rng.uniform(0, 1), 1 - 10 ** rng.uniform(-2, 0)]))


@pytest.mark.parametrize("seed", range(220))
def test_measured_growth_is_the_spectral_radius(seed):
    """The mean log growth of the homogeneous recursion, rescaled to unit length every 20 steps, is log ρ."""
    problem = random_problem(seed)
    alpha, c = random_pair(seed, problem)
    problem = theory.LinearTD(problem.A, problem.B)
    rng, logs = np.random.default_rng(seed), []
    q, t = rng.standard_normal((2, problem.size))
    for _ in range(160):
        run = problem.simulate(alpha, c, 20, q0=q, t0=t)
        size = np.sqrt((run.Q[-1] ** 2).sum() + (run.T[-1] ** 2).sum())
        logs.append(np.log(size))
        q, t = run.Q[-1] / size, run.T[-1] / size
    measured = np.mean(logs[80:]) / 20
    assert measured == pytest.approx(np.log(problem.spectral_radius(alpha, c)), abs=2e-3)


@pytest.mark.parametrize("seed", range(60))
def test_measured_covariance_is_the_lyapunov_solution(seed):
    """Time averages of a noisy run agree within five standard errors, which come from batch means and are small."""
    problem = random_problem(seed)
    alpha, c = random_pair(seed, problem)
    while problem.spectral_radius(alpha, c) > 0.95:  # so that the run mixes within a batch
        seed += 1000
        problem = random_problem(seed)
        alpha, c = random_pair(seed, problem)
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((problem.size, problem.size))
    noise = root @ root.T if seed % 2 else 0.7
    run = problem.simulate(alpha, c, 20_800, noise=noise, seed=seed, q0=problem.fixed_point())
    covariance = problem.stationary_covariance(alpha, c, noise)
    Q, T = (x[800:-1] - problem.fixed_point() for x in run)
    for left, right, expected in ((Q, Q, covariance.Q), (T, T, covariance.T), (Q, T, covariance.QT)):
        batches = np.einsum("bti,btj->bij", *(x.reshape(40, -1, problem.size) for x in (left, right))) / (len(Q) // 40)
        error = batches.std(axis=0, ddof=1) / np.sqrt(40)
        scale = np.sqrt(np.outer(np.diag(left.T @ left), np.diag(right.T @ right))) / len(Q)
        assert (np.abs(batches.mean(axis=0) - expected) <= 5 * error + 1e-12).all()
        assert (error < 0.15 * scale).all()


@pytest.mark.parametrize("make", [problems.only_target, problems.target_destroys, problems.resonance])
def test_covariance_solves_the_equation_by_iteration(make):
    problem, (alpha, c) = make(), (0.1, 0.2 if make is not problems.only_target else 0.95)
    M, E = problem.iteration_matrix(alpha, c), np.vstack([np.eye(2), (1 - c) * np.eye(2)]) * alpha
    S = np.zeros((4, 4))
    for _ in range(40_000):
        S = M @ S @ M.T + E @ E.T
    covariance = problem.stationary_covariance(alpha, c)
    np.testing.assert_allclose(
        np.block([[covariance.Q, covariance.QT], [covariance.QT.T, covariance.T]]), S, rtol=1e-6, atol=1e-12
    )


@given(st.integers(0, 500), st.floats(0.01, 1), st.floats(0, 0.99), st.sampled_from(["post", "pre"]))
def test_matrix_simulation_and_ledger_agree(seed, alpha, c, order):
    """One step of `simulate` is M, and the ledger of its steps reproduces the run."""
    problem = random_problem(seed)
    start = np.random.default_rng(seed).standard_normal((2, problem.size))
    run = problem.simulate(alpha, c, 5, order=order, q0=start[0], t0=start[1])
    steps = np.diff(run.Q, axis=0) / alpha
    ledger = theory.ledger(steps, alpha, c, start[0], start[1], order)
    np.testing.assert_allclose(ledger.T, run.T, atol=1e-9 * (1 + np.abs(run.T).max()))
    if order == "post":
        free = theory.LinearTD(problem.A, problem.B).simulate(alpha, c, 1, q0=start[0], t0=start[1])
        product = problem.iteration_matrix(alpha, c) @ start.ravel()
        tolerance = 1e-9 * (1 + np.abs(product).max())
        np.testing.assert_allclose(np.concatenate([free.Q[1], free.T[1]]), product, atol=tolerance)


@given(st.integers(0, 200), st.floats(0.01, 1))
def test_c_zero_is_the_single_network(seed, alpha):
    problem = random_problem(seed)
    single = np.abs(np.linalg.eigvals(np.eye(problem.size) + alpha * (problem.A - problem.B))).max()
    assert problem.spectral_radius(alpha, 0) == pytest.approx(single, rel=1e-6)
    run = problem.simulate(alpha, 0, 10)
    np.testing.assert_array_equal(run.Q[1:], run.T[1:])


@pytest.mark.parametrize("seed", range(30))
def test_hard_copy_matrix_is_one_simulated_period(seed):
    problem = random_problem(seed)
    alpha, period = 0.1, 2 + seed % 7
    run = theory.LinearTD(problem.A, problem.B).simulate(alpha, TargetUpdate.hard(period), period)
    np.testing.assert_allclose(run.T[-1], problem.hard_copy_matrix(alpha, period) @ run.T[0], atol=1e-12)
    G = np.linalg.matrix_power(np.eye(problem.size) - alpha * problem.B, period)
    closed_form = G + (np.eye(problem.size) - G) @ np.linalg.solve(problem.B, problem.A)
    np.testing.assert_allclose(problem.hard_copy_matrix(alpha, period), closed_form, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_determinant_identity(seed):
    problem = random_problem(seed)
    alpha, c = random_pair(seed, problem)
    left = np.linalg.det(np.eye(2 * problem.size) - problem.iteration_matrix(alpha, c))
    right = (alpha * (1 - c)) ** problem.size * np.linalg.det(problem.B - problem.A)
    assert left == pytest.approx(right, rel=1e-6, abs=1e-14)


@pytest.mark.parametrize("seed", range(20))
def test_first_order_limits(seed):
    problem = random_problem(seed)
    limits = problem.limits()
    small = (problem.spectral_radius(1e-6, 0.7) - 1) / 1e-6
    assert small == pytest.approx(limits.small_steps.real.max(), abs=1e-3)
    alpha = 1 / np.linalg.eigvalsh(problem.B).max()
    slow = (problem.spectral_radius(alpha, 1 - 1e-8) - 1) / 1e-8
    assert slow == pytest.approx(limits.slow_target.real.max(), abs=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_on_policy_every_c_is_stable(seed):
    """If |w*Aw| < w*Bw for all complex w and α·λmax(B) ≤ 1, every c < 1 is stable."""
    problem = problems.random_mdp(seed, 8, 4, gamma=0.95, on_policy=True)
    alpha = 1 / np.linalg.eigvalsh(problem.B).max()
    assert problem.stable_c(alpha) == [(0.0, 1.0)]
    assert (problem.spectral_radius(alpha * np.geomspace(1e-3, 1, 20)[:, None], np.linspace(0, 0.999, 40)) < 1).all()


@pytest.mark.parametrize("seed", range(10))
def test_tabular_q_learning_is_a_contraction(seed):
    """If αd_max ≤ 1, two runs with the maximum approach each other in the norm max(|θ|/ξ, |w|), γ < ξ < 1."""
    rng = np.random.default_rng(seed)
    states, actions, gamma, xi = 4, 3, 0.9, 0.95
    P, reward = rng.dirichlet(np.ones(states), (states, actions)), rng.standard_normal((states, actions))
    d = rng.dirichlet(np.ones(states * actions)).reshape(states, actions)
    alpha, c = 1 / d.max(), rng.uniform(0, 1)
    q, w = rng.standard_normal((2, 2, states, actions)) * 10
    for _ in range(50):
        before = max(np.abs(q[0] - q[1]).max() / xi, np.abs(w[0] - w[1]).max())
        q = q + alpha * d * (reward + gamma * np.einsum("sak,rk->rsa", P, w.max(axis=2)) - q)
        w = c * w + (1 - c) * q
        assert max(np.abs(q[0] - q[1]).max() / xi, np.abs(w[0] - w[1]).max()) < before
    tabular = theory.LinearTD.from_mdp(np.eye(states), rng.dirichlet(np.ones(states), states), d.sum(axis=1), gamma)
    assert tabular.stable_c(1 / d.sum(axis=1).max()) == [(0.0, 1.0)]


@pytest.mark.parametrize("seed", range(60))
def test_criteria_for_two_features(seed):
    """For n = 2 and det(B−A) > 0 traces decide both limits.

    The single network is stable iff tr(B−A) > 0, c → 1 iff tr(B⁻¹A) < 2. If both fail, no κ is stable.
    """
    rng = np.random.default_rng(seed)
    phi = rng.standard_normal((3, 2))
    problem = theory.LinearTD.from_mdp(phi, rng.dirichlet(np.full(3, 0.3), 3), rng.dirichlet(np.full(3, 0.5)), 0.99)
    if np.linalg.det(problem.B - problem.A) < 0:
        assert problem.stable_c(0.1) == problem.stable_kappa() == []
        return
    limits = problem.limits()
    assert limits.small_steps_stable == (np.trace(problem.B - problem.A) > 0)
    assert limits.slow_target_stable == (np.trace(np.linalg.solve(problem.B, problem.A)) < 2)
    if not (limits.small_steps_stable or limits.slow_target_stable):
        assert problem.stable_kappa() == []


def test_lowering_alpha_at_fixed_c_can_destabilise():
    problem = problems.only_target()
    ((low, high),) = problem.stable_alpha(0.9)
    assert low > 0.01
    assert problem.spectral_radius((low + high) / 2, 0.9) < 1 < problem.spectral_radius(0.01, 0.9)


def test_the_radius_decides_rare_hard_copies_and_the_real_parts_decide_soft_updates():
    problem = problems.resonance()
    assert problem.limits().slow_target_stable
    assert not problem.limits().hard_copies_stable
    assert problem.hard_copy_radius(0.1, 500) > 1 > problem.spectral_radius(0.1, 0.999)


def test_every_stable_run_ends_in_the_fixed_point():
    problem = problems.random_mdp(7, on_policy=True)
    for c in (0, 0.9):
        run = problem.simulate(0.3, c, 20_000)
        np.testing.assert_allclose(run.T[-1], problem.fixed_point(), atol=1e-9)


def test_rowspace_of_redundant_features():
    """For Baird's eight features the row space keeps the full spectrum except for the idle direction's 1 and c."""
    phi = np.hstack([2 * np.eye(7), np.ones((7, 1))])
    phi[6, 6:] = 1, 2
    P = np.zeros((7, 7))
    P[:, 6] = 1
    full = theory.LinearTD.from_mdp(phi, P, np.full(7, 1 / 7), 0.99)
    reduced = full.rowspace()
    assert (full.size, reduced.size) == (8, 7)
    assert full.spectral_radius(0.01, 0.9) == pytest.approx(reduced.spectral_radius(0.01, 0.9), rel=1e-12)
    eigenvalues = np.sort_complex(np.append(np.linalg.eigvals(reduced.iteration_matrix(0.1, 0.5)), [1, 0.5]))
    full_eigenvalues = np.sort_complex(np.linalg.eigvals(full.iteration_matrix(0.1, 0.5)))
    np.testing.assert_allclose(eigenvalues, full_eigenvalues, atol=1e-7)
    assert problems.random_mdp(0).rowspace().size == 3


def test_spectral_radius_broadcasts():
    problem = problems.only_target()
    alphas, cs = np.geomspace(0.01, 1, 5), np.linspace(0, 0.9, 4)
    table = problem.spectral_radius(alphas[:, None], cs)
    assert table.shape == (5, 4)
    assert table[2, 3] == problem.spectral_radius(alphas[2], cs[3])
    assert isinstance(problem.spectral_radius(0.1, 0.5), float)
