"""Stability windows against scans and random points, their ends against 50-digit arithmetic, and the minimisers."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from softstep import theory
from softstep.theory import one_dimension, problems, spectrum
from softstep.theory.crossings import axis_crossings, bialternate, circle_crossings


def any_problem(seed: int) -> theory.LinearTD:
    """Draw an MDP, general matrices, or a block-diagonal pair with repeated eigenvalues."""
    rng, kind = np.random.default_rng(seed), seed % 4
    size = int(rng.integers(1, 5))
    if kind == 0:
        return problems.random_mdp(seed, size + 2, size, gamma=float(rng.choice([0.5, 0.9, 0.99])))
    if kind == 1:
        root = rng.standard_normal((size, size))
        return theory.LinearTD(rng.standard_normal((size, size)), root @ root.T + 0.1 * np.eye(size))
    if kind == 2:
        return theory.LinearTD(rng.standard_normal((size, size)), rng.standard_normal((size, size)) + np.eye(size))
    one, two = problems.random_mdp(seed, 3, 2, 0.99), problems.random_mdp(seed + seed % 8 - 3, 3, 2, 0.99)
    zero = np.zeros((2, 2))
    return theory.LinearTD(np.block([[one.A, zero], [zero, two.A]]), np.block([[one.B, zero], [zero, two.B]]))


def contradictions(windows: theory.Windows, grid: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """Return the grid points whose membership contradicts ρ, except for those within rounding of ρ = 1."""
    inside = np.array([z in windows for z in grid])
    return grid[(inside != (rho < 1)) & (np.abs(rho - 1) > 1e-13)]


@pytest.mark.parametrize("seed", range(100))
def test_windows_against_a_dense_scan(seed):
    problem, alpha = any_problem(seed), 10 ** np.random.default_rng(seed).uniform(-4, 0)
    c = 1 - np.geomspace(1e-7, 1, 300)
    assert len(contradictions(problem.stable_c(alpha), c, problem.spectral_radius(alpha, c))) == 0
    alphas = np.geomspace(1e-5, 1e2, 300)
    assert len(contradictions(problem.stable_alpha(0.9), alphas, problem.spectral_radius(alphas, 0.9))) == 0
    kappas = np.geomspace(1e-5, 1e4, 300)
    height = 1 + spectrum.abscissa(problem.A, problem.B, kappas) / kappas
    assert len(contradictions(problem.stable_kappa(), kappas, height)) == 0


@pytest.mark.parametrize("seed", range(4))
def test_windows_of_ten_features_in_five_resonances(seed):
    """Rotations of different scales and frequencies, mixed by a random basis, open and close windows many times."""
    rng = np.random.default_rng(seed)
    A, B = np.zeros((10, 10)), np.zeros((10, 10))
    for i in range(0, 10, 2):
        scale, turn, real = 10 ** rng.uniform(-2, 0), rng.uniform(0.5, 2.5), rng.uniform(0.3, 0.95)
        A[i : i + 2, i : i + 2] = scale * np.array([[real, turn], [-turn, real]])
        B[i : i + 2, i : i + 2] = scale * np.eye(2)
    basis, _ = np.linalg.qr(rng.standard_normal((10, 10)))
    problem = theory.LinearTD(basis @ A @ basis.T, basis @ B @ basis.T)
    c = 1 - np.geomspace(1e-7, 1, 400)
    windows = problem.stable_c(0.1)
    assert windows.resolution is None
    assert len(contradictions(windows, c, problem.spectral_radius(0.1, c))) == 0
    for end in (e for pair in windows for e in pair if 0 < e < 1):
        assert problem.spectral_radius(0.1, end) == pytest.approx(1, abs=1e-11)


@given(st.integers(0, 400), st.floats(1e-3, 1), st.floats(0, 0.9999))
def test_membership_at_random_points(seed, alpha, c):
    problem = any_problem(seed)
    rho = problem.spectral_radius(alpha, c)
    if abs(rho - 1) > 1e-10:
        assert (c in problem.stable_c(alpha)) == (rho < 1)
        assert (alpha in problem.stable_alpha(c)) == (rho < 1)


def exact_radius_minus_one(problem: theory.LinearTD, alpha: float, c: float) -> mpmath.mpf:
    """Compute ρ − 1 in 50-digit arithmetic."""
    with mpmath.workdps(50):
        A, B = mpmath.matrix(problem.A.tolist()), mpmath.matrix(problem.B.tolist())
        n, alpha, c = problem.size, mpmath.mpf(alpha), mpmath.mpf(c)
        M, identity = mpmath.zeros(2 * n), mpmath.eye(n)
        M[:n, :n], M[:n, n:] = identity - alpha * B, alpha * A
        M[n:, :n], M[n:, n:] = (1 - c) * (identity - alpha * B), c * identity + (1 - c) * alpha * A
        return max(abs(z) for z in mpmath.eig(M, left=False, right=False)) - 1


@pytest.mark.parametrize("alpha", [1e-5, 1e-3, 0.1])
@pytest.mark.parametrize("make", [problems.only_target, problems.target_destroys, problems.resonance])
def test_ends_are_accurate_to_1e_9(make, alpha):
    """A relative change of 1e-9 in 1 − c or α to either side moves ρ to either side of 1."""
    problem = make()
    ends = [e for pair in problem.stable_c(alpha) for e in pair if 0 < e < 1]
    assert ends
    for c in ends:
        sides = [exact_radius_minus_one(problem, alpha, 1 - (1 - c) * (1 + s)) for s in (-1e-9, 1e-9)]
        assert sides[0] * sides[1] < 0
    for a in [e for pair in problem.stable_alpha(0.95) for e in pair if 0 < e < np.inf]:
        sides = [exact_radius_minus_one(problem, a * (1 + s), 0.95) for s in (-1e-9, 1e-9)]
        assert sides[0] * sides[1] < 0


def test_kappa_is_the_small_step_limit_of_the_windows():
    for make in (problems.only_target, problems.target_destroys, problems.resonance):
        problem, alpha = make(), 1e-7
        kappas = [e for pair in problem.stable_kappa() for e in pair if 0 < e < np.inf]
        shares = [(1 - e) / alpha for pair in problem.stable_c(alpha) for e in pair if 0 < e < 1]
        assert np.sort(shares) == pytest.approx(np.sort(kappas), rel=1e-5)


def test_windows_beyond_ten_features_are_scanned_and_have_a_resolution():
    two = problems.resonance()
    spread = np.kron(np.diag(np.linspace(0.5, 1, 6)), np.eye(2))
    large = theory.LinearTD(spread @ np.kron(np.eye(6), two.A), spread @ np.kron(np.eye(6), two.B))
    exact = theory.LinearTD(two.A, two.B).stable_c(0.1)
    scanned = large.stable_c(0.1)
    assert exact.resolution is None
    assert scanned.resolution == pytest.approx(10 ** (1 / 24))
    c = 1 - np.geomspace(1e-6, 1, 400)
    assert len(contradictions(scanned, c, large.spectral_radius(0.1, c))) == 0
    assert len(scanned) == 2
    assert large.stable_kappa().resolution == scanned.resolution == large.stable_alpha(0.5).resolution


def test_fifty_features():
    problem = problems.random_mdp(3, 100, 50, gamma=0.9, on_policy=True)
    assert problem.stable_c(0.01) == [(0.0, 1.0)]
    ((low, high),) = problem.stable_alpha(0.9)
    assert low == 0
    assert problem.spectral_radius(high * (1 + 1e-6), 0.9) > 1 > problem.spectral_radius(high * (1 - 1e-6), 0.9)


def brackets_without(candidates: np.ndarray, grid: np.ndarray, growth: np.ndarray) -> list[float]:
    """Return the grid intervals over which growth changes sign, away from rounding, that contain no candidate."""
    change = np.flatnonzero((growth[1:] < 0) != (growth[:-1] < 0))
    clear = [i for i in change if min(abs(growth[i]), abs(growth[i + 1])) > 1e-12]
    return [grid[i] for i in clear if not ((grid[i] <= candidates) & (candidates <= grid[i + 1])).any()]


@pytest.mark.parametrize("seed", range(60))
def test_every_sign_change_has_a_crossing(seed):
    """The algebra alone finds a root in every grid interval in which ρ crosses 1."""
    problem, alpha, c = any_problem(seed), 0.3, 0.8
    A, B, identity = problem.A, problem.B, np.eye(problem.size)
    G, fine = identity - alpha * B, np.geomspace(1e-4, 1, 400)
    roots = circle_crossings(G, alpha * A, G, alpha * A - identity)
    assert brackets_without(roots, fine, spectrum.growth(A, B, alpha, fine)) == []
    alphas = np.geomspace(1e-3, 1e2, 600)
    roots = circle_crossings(c * identity, -c * (1 - c) * identity, -A, (1 - c) * A - B)
    assert brackets_without(roots, alphas, spectrum.growth(A, B, alphas, 1 - c)) == []
    kappas = np.geomspace(1e-3, 1e3, 600)
    roots = axis_crossings(-B, A, identity, -identity)
    assert brackets_without(roots, kappas, spectrum.abscissa(A, B, kappas)) == []


def test_bialternate_eigenvalues_are_products_and_sums():
    X = np.random.default_rng(0).standard_normal((5, 5))
    values = np.linalg.eigvals(X)
    i, j = np.triu_indices(5, 1)
    for product, expected in (
        (bialternate(X, X), values[i] * values[j]),
        (2 * bialternate(X, np.eye(5)), values[i] + values[j]),
    ):
        np.testing.assert_allclose(np.poly(product), np.poly(expected).real, atol=1e-9)


# --- the best pair and the equal single network -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_best_c_beats_every_grid_point(seed):
    problem, alpha = any_problem(seed), 0.1
    c = problem.best_c(alpha)
    grid = 1 - np.geomspace(1e-4, 1, 2000)
    lowest = problem.spectral_radius(alpha, grid).min()
    if np.isnan(c):
        assert problem.spectral_radius(alpha, 1 - 1e-9) <= lowest + 1e-12
    else:
        assert problem.spectral_radius(alpha, c) <= lowest + 1e-12


def test_best_c_in_one_dimension_is_where_the_eigenvalues_meet():
    """For a < 0 the target damps the overshoot. SciPy's bounded search is the oracle."""
    problem = theory.LinearTD.scalar(-3.0, 1.0)
    c = problem.best_c(0.45)
    oracle = minimize_scalar(lambda x: problem.spectral_radius(0.45, x), bounds=(0, 0.9), method="bounded")
    assert c == pytest.approx(oracle.x, abs=1e-4)
    pair = one_dimension.eigenvalues(0.45, c, -3.0, 1.0)
    assert abs(pair[0] - pair[1]) < 1e-4


def test_best_c_ties_go_to_the_smaller_c():
    """For A = 0, ρ = max(|1 − αb|, c) is flat up to c = |1 − αb|; for the blocks it is flat only above a positive c."""
    assert theory.LinearTD.scalar(0.0, 1.0).best_c(0.1) == 0
    one, zero = problems.only_target(), np.zeros((2, 1))
    block = theory.LinearTD(np.block([[one.A, zero], [zero.T, 0.0]]), np.block([[one.B, zero], [zero.T, 0.012]]))
    basis, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    mixed = theory.LinearTD(basis @ block.A @ basis.T, basis @ block.B @ basis.T)  # its plateau is noisy
    plateau = block.spectral_radius(0.1, 0.99)
    assert plateau == pytest.approx(1 - 0.0012, abs=1e-15)
    for problem in (block, mixed):
        c = problem.best_c(0.1)
        assert one.spectral_radius(0.1, c) == pytest.approx(plateau, abs=1e-10)
        assert one.spectral_radius(0.1, c - 1e-6) > plateau


def test_nothing_is_best_if_nothing_is_stable():
    """One problem has det(B−A) < 0; the other has det(B−A) > 0 but is unstable in both limits and between."""
    rotation = theory.LinearTD([[1.5, 2.0], [-2.0, 1.5]], np.eye(2))
    assert np.linalg.det(rotation.B - rotation.A) > 0
    assert rotation.stable_kappa() == rotation.stable_c(0.1) == rotation.stable_alpha(0.5) == []
    for problem in (problems.neither(), rotation):
        assert np.isnan(problem.best_c(0.1))
        assert np.isnan(problem.best()).all()


@pytest.mark.parametrize("seed", range(8))
def test_best_pair_beats_a_grid(seed):
    problem = problems.random_mdp(seed, 4, 2, on_policy=seed % 2 == 0)
    best = problem.best()
    grid = problem.spectral_radius(np.geomspace(1e-3, 1e3, 200)[:, None], 1 - np.geomspace(1e-3, 1, 120))
    if np.isnan(best.alpha):
        assert grid.min() >= 1
    else:
        assert best.radius == pytest.approx(problem.spectral_radius(best.alpha, best.c), abs=1e-12)
        assert best.radius <= grid.min() + 1e-9


def test_the_best_pair_in_one_dimension_is_the_deadbeat_single_network():
    best = theory.LinearTD.scalar(0.9, 1.0).best()
    assert best.radius < 1e-6
    assert best.c == 0
    assert best.alpha == pytest.approx(10)


@given(st.integers(0, 300), st.floats(1e-3, 0.5), st.floats(0, 0.999))
def test_effective_alpha_is_the_smallest_with_the_same_radius(seed, alpha, c):
    problem = any_problem(seed)
    rho, effective = problem.spectral_radius(alpha, c), problem.effective_alpha(alpha, c)
    if np.isnan(effective):
        dense = problem.spectral_radius(np.geomspace(1e-6, 1e3, 400), 0)
        assert (dense > rho - 1e-9).all() or (dense < rho + 1e-9).all()
        return
    assert problem.spectral_radius(effective, 0) == pytest.approx(rho, abs=1e-8)
    below = problem.spectral_radius(effective * np.linspace(0.001, 0.999, 50), 0)
    assert (below > rho).all() or (below < rho).all()


def test_effective_alpha_of_the_single_network_is_alpha():
    assert problems.both().effective_alpha(0.1, 0) == pytest.approx(0.1)
    assert np.isnan(problems.only_target().effective_alpha(0.1, 0.99))
