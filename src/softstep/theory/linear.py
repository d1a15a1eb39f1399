"""Linear expected dynamics of the two networks: spectra, stability windows, noise.

    θ ← θ + α(A·w − B·θ + r),    w ← c·w + (1−c)·θ        (θ online, w target, in this order)
    M = [[I−αB, αA], [(1−c)(I−αB), cI+(1−c)αA]]

Stable means spectral radius ρ(M) < 1. c = 0 is the single network, I + α(A−B).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from softstep.target import TargetUpdate
from softstep.theory import search, spectrum
from softstep.theory.checks import (
    Array,
    Spectrum,
    check_alpha,
    check_c,
    check_count,
    check_order,
    check_schedule,
    real_array,
)
from softstep.theory.crossings import axis_crossings, circle_crossings
from softstep.theory.mdp import MDP, make_mdp, matrices
from softstep.theory.recursion import Ledger, schedule
from softstep.theory.search import Best
from softstep.theory.windows import SCAN_PER_DECADE, Windows, find_windows, scan

EXACT_UP_TO = 10
"""Largest number of features for which crossings are computed; beyond it they are scanned for."""


class Covariance(NamedTuple):
    """Stationary covariances of online and target parameters, shapes (n, n); QT = E[θ·wᵀ]."""

    Q: Array
    T: Array
    QT: Array


class Limits(NamedTuple):
    """The two limit spectra, shapes (n,), and what each says."""

    small_steps: Spectrum  # eig(A − B): α → 0 at fixed c
    slow_target: Spectrum  # eig(B⁻¹A − I): c → 1 at fixed α < 2/λmax(B)
    small_steps_stable: bool
    slow_target_stable: bool
    hard_copies_stable: bool  # spectral radius of B⁻¹A below 1: copies with N → ∞
    says: str


@dataclass(frozen=True, eq=False, init=False)
class LinearTD:
    """A linear problem: A and B of shape (n, n), r of shape (n,) (zeros if not given).

    Errors: ValueError where shapes do not fit or a number is NaN. A singular B may be simulated; what needs B⁻¹
    raises and names the redundant features (see `.rowspace()`).
    """

    A: Array
    B: Array
    r: Array
    mdp: MDP | None
    """Where the matrices came from, if from an MDP."""

    def __init__(self, A: Any, B: Any, r: Any = None, mdp: MDP | None = None) -> None:
        A, B = real_array("A", A, 2), real_array("B", B, 2)
        r = real_array("r", np.zeros(len(A)) if r is None else r, 1)
        if A.shape != B.shape or A.shape != (len(r), len(r)) or len(r) == 0:
            raise ValueError(f"shapes do not fit: A {A.shape} and B {B.shape} must be (n, n), r {r.shape} must be (n,)")
        for name, value in (("A", A), ("B", B), ("r", r), ("mdp", mdp)):
            object.__setattr__(self, name, value)

    @classmethod
    def from_mdp(cls, phi: Any, P: Any, d: Any, gamma: float, rewards: Any = None) -> LinearTD:
        """B = ΦᵀDΦ, A = γ·ΦᵀDPΦ, r = ΦᵀD·rewards, with phi (S, n), P (S, S), d (S,), rewards (S,) or none.

        Source: Tsitsiklis & Van Roy 1997. Errors: ValueError as `mdp.make_mdp` says.
        """
        mdp = make_mdp(phi, P, d, gamma, rewards)
        return cls(*matrices(mdp), mdp)

    @classmethod
    def scalar(cls, a: float, b: float) -> LinearTD:
        """One dimension: A = [[a]], B = [[b]], r = 0."""
        return cls(np.array([[a]], dtype=float), np.array([[b]], dtype=float))

    @property
    def size(self) -> int:
        """n, the number of features."""
        return len(self.A)

    # --- matrices and spectra ---------------------------------------------------------------------------------

    def iteration_matrix(self, alpha: float, c: float) -> Array:
        """M = [[I−αB, αA], [(1−c)(I−αB), cI+(1−c)αA]], shape (2n, 2n), acting on (θ, w)."""
        share = 1 - float(check_c(c))
        return np.eye(2 * self.size) + spectrum.displacement(self.A, self.B, check_alpha(alpha), np.asarray(share))

    def hard_copy_matrix(self, alpha: float, N: int) -> Array:
        """H_N = G^N + (I − G^N)·B⁻¹A with G = I − αB, shape (n, n): w from one copy to the next, N gradient steps.

        Computed as a power of [[G, αA], [0, I]], so B may be singular. Source of hard copies: Mnih et al. 2015.
        """
        n, identity = self.size, np.eye(self.size)
        online = np.block([[identity - check_alpha(alpha) * self.B, alpha * self.A], [np.zeros((n, n)), identity]])
        power = np.linalg.matrix_power(online, check_count("N", N, 1))
        return np.asarray(power[:n, :n] + power[:n, n:])

    def spectral_radius(self, alpha: Any, c: Any) -> Any:
        """ρ(M), the growth factor per gradient step; c = 0 is the single network.

        alpha and c broadcast: a map is `spectral_radius(alphas[:, None], cs)`. A number where both are numbers.
        """
        rho = 1 + spectrum.growth(self.A, self.B, check_alpha(alpha), 1 - check_c(c))
        return float(rho) if rho.ndim == 0 else rho

    def hard_copy_radius(self, alpha: float, N: int) -> float:
        """Growth factor per gradient step with a copy every N: ρ(H_N)^{1/N}."""
        return float(np.abs(np.linalg.eigvals(self.hard_copy_matrix(alpha, N))).max() ** (1 / N))

    def fixed_point(self) -> Array:
        """θ* = w* = (B − A)⁻¹·r, shape (n,), the same for every (α, c). ValueError where B − A is singular."""
        if spectrum.is_singular(self.B - self.A, self.A, self.B):
            raise ValueError("B - A is singular: there is no single fixed point; redundant features? see .rowspace()")
        return np.asarray(np.linalg.solve(self.B - self.A, self.r))

    def limits(self) -> Limits:
        """Both limit spectra: eig(A−B) decides α → 0 at fixed c, eig(B⁻¹A−I) decides c → 1 at fixed α.

        ρ = 1 + α·max Re eig(A−B) + o(α) and ρ = 1 + (1−c)·max Re eig(B⁻¹A−I) + o(1−c). Hard copies with N → ∞
        need the spectral *radius* of B⁻¹A below 1, soft updates only real parts below 1.
        """
        self._require_regular()
        small = spectrum.eigenvalues(self.A - self.B)
        slow = spectrum.eigenvalues(np.asarray(np.linalg.solve(self.B, self.A), dtype=float)) - 1
        fine, safe = bool(small.real.max() < 0), bool(slow.real.max() < 0)
        hard = bool(np.abs(slow + 1).max() < 1)
        return Limits(small, slow, fine, safe, hard, spectrum.limits_in_words(small, slow, hard))

    def rowspace(self) -> LinearTD:
        """The same problem on the span of what the updates can move: VᵀAV, VᵀBV, Vᵀr with V orthonormal (n, k).

        Directions in which A, Aᵀ, B and Bᵀ all vanish never move (redundant features); the spectrum on the rest is
        unchanged but for eigenvalues 1 and c. For a problem from an MDP the span is that of the visited features.
        """
        seen = np.hstack([self.B] if self.mdp is not None else [self.A, self.A.T, self.B, self.B.T])
        left, size, _ = np.linalg.svd(seen)
        V = left[:, : int((size > 1e-12 * size[0]).sum())]
        mdp = None if self.mdp is None else self.mdp._replace(phi=self.mdp.phi @ V)
        return LinearTD(V.T @ self.A @ V, V.T @ self.B @ V, V.T @ self.r, mdp)

    # --- windows ----------------------------------------------------------------------------------------------

    def stable_c(self, alpha: float) -> Windows:
        """Open intervals of c in [0, 1) with ρ < 1; an interval that starts at 0 includes the single network.

        Exact for n ≤ 10 (`resolution` None): complex pairs from det(M ⊙ M − I) = 0, real crossings from
        det(I + M) = 0; det(I − M) = αⁿ(1−c)ⁿ·det(B−A) never changes sign. Beyond, a scan in log(1−c).
        """
        step = float(check_alpha(alpha))
        if self._never_stable():
            return Windows()
        identity = np.eye(self.size)
        G, A = identity - step * self.B, step * self.A
        exact, low = self.size <= EXACT_UP_TO, min(1e-3, 1e-3 * step * spectrum.smallest(self.B))
        splits = circle_crossings(G, A, G, A - identity) if exact else np.empty(0)
        found = find_windows(lambda share: spectrum.growth(self.A, self.B, np.asarray(step), share), splits,
                             scan(low, 1.0)[:: 8 if exact else 1], 1.0)  # fmt: skip
        return Windows([(1 - high, 1 - low) for low, high in reversed(found)], self._resolution())

    def stable_alpha(self, c: float) -> Windows:
        """Open intervals of α > 0 with ρ < 1 at this c, as `stable_c`; [] where none, inf where without end."""
        share = 1 - float(check_c(c))
        if self._never_stable():
            return Windows()
        identity, exact = np.eye(self.size), self.size <= EXACT_UP_TO
        coupling, drift = -(1 - share) * share * identity, share * self.A - self.B
        splits = circle_crossings((1 - share) * identity, coupling, -self.A, drift) if exact else np.empty(0)
        scale = spectrum.largest(self.A, self.B)
        low, high = 1e-4 * share / scale, 1e2 / min(spectrum.smallest(self.B), spectrum.smallest(self.B - self.A))
        samples = scan(low, high)[:: 8 if exact else 1]
        found = find_windows(
            lambda alpha: spectrum.growth(self.A, self.B, alpha, np.asarray(share)), splits, samples, np.inf
        )
        return Windows(found, self._resolution())

    def stable_kappa(self) -> Windows:
        """Open intervals of κ = (1−c)/α > 0 that are stable for small steps: F(κ) = [[−B, A], [κI, −κI]] is Hurwitz.

        ρ(α, 1−κα) = 1 + α·max Re eig F(κ) + o(α); κ → ∞ is the single network, κ → 0 the slow target.
        """
        if self._never_stable():
            return Windows()
        identity, exact = np.eye(self.size), self.size <= EXACT_UP_TO
        splits = axis_crossings(-self.B, self.A, identity, -identity) if exact else np.empty(0)
        low, high = 1e-3 * spectrum.smallest(self.B), 1e3 * spectrum.largest(self.A, self.B)
        samples = scan(low, high)[:: 8 if exact else 1]
        found = find_windows(lambda kappa: spectrum.abscissa(self.A, self.B, kappa), splits, samples, np.inf)
        return Windows(found, self._resolution())

    # --- the best pair, and the equal single network ------------------------------------------------------------

    def best_c(self, alpha: float) -> float:
        """argmin of ρ over c in [0, 1), ties to the smaller c; nan where ρ only falls towards its limit at c → 1."""
        self._require_regular()
        step = check_alpha(alpha)
        low = min(1e-4, 1e-3 * float(step) * spectrum.smallest(self.B))
        share = search.largest_minimiser(lambda z: spectrum.growth(self.A, self.B, step, z), scan(low, 1.0))
        return 1 - share

    def best(self) -> Best:
        """The pair with the smallest ρ over α > 0 and c in [0, 1), ties to the smaller c; nan where none is stable.

        A grid over (log α, log(1−c)), 12 points a decade, polished by the simplex method from its best cells.
        """
        if self._never_stable():
            return Best(np.nan, np.nan, np.nan)
        scale, weakest = spectrum.largest(self.A, self.B), spectrum.smallest(self.B)
        alphas = scan(1e-2 / scale, 4 / min(weakest, spectrum.smallest(self.B - self.A)))[::2]
        shares = scan(1e-3 * min(1.0, weakest / scale), 1.0)[::2]
        return search.best_pair(lambda a, z: spectrum.growth(self.A, self.B, a, z), alphas, shares)

    def effective_alpha(self, alpha: float, c: float) -> float:
        """Smallest α′ > 0 with ρ(I + α′(A−B)) = ρ(M(α, c)): the single network of the same rate; nan if none."""
        self._require_regular()
        target = float(spectrum.growth(self.A, self.B, check_alpha(alpha), 1 - check_c(c)))
        return search.smallest_alpha(spectrum.eigenvalues(self.A - self.B), target)

    # --- trajectories and noise ---------------------------------------------------------------------------------

    def simulate(
        self, alpha: float, c: Any, steps: int, noise: Any = 0.0, seed: int | None = None, order: str = "post",
        q0: Any = None, t0: Any = None,
    ) -> Ledger:  # fmt: skip
        """The recursion itself: `Ledger(Q, T)` of shapes (steps + 1, n), from q0 (ones) and t0 (a copy of q0).

        c: a number in [0, 1), a schedule of length `steps` in [0, 1], or a `TargetUpdate` (soft, hard or none).
        noise: standard deviation of white noise in each step, or its covariance (n, n); seed: of its generator.
        """
        check_order(order)
        step, count = float(check_alpha(alpha)), check_count("steps", steps, 0)
        weights = schedule(c, count) if isinstance(c, TargetUpdate) else check_schedule(c, count)
        kicks = np.random.default_rng(seed).standard_normal((count, self.size)) @ _factor(noise, self.size).T
        Q, T = np.empty((count + 1, self.size)), np.empty((count + 1, self.size))
        Q[0] = 1.0 if q0 is None else _vector("q0", q0, self.size)
        T[0] = Q[0] if t0 is None else _vector("t0", t0, self.size)
        blended = Q[1:] if order == "post" else Q
        with np.errstate(over="ignore", invalid="ignore"):
            for t, weight in enumerate(weights.tolist()):
                Q[t + 1] = Q[t] + step * (self.A @ T[t] - self.B @ Q[t] + self.r + kicks[t])
                T[t + 1] = weight * T[t] + (1 - weight) * blended[t]
        return Ledger(Q, T)

    def stationary_covariance(self, alpha: float, c: float, noise: Any = 1.0) -> Covariance:
        """Σ = M·Σ·Mᵀ + E·Eᵀ with E = α·[I; (1−c)I]·noise: covariances around the fixed point under white step noise.

        noise: standard deviation of each component, or a covariance (n, n). ValueError where ρ(M) ≥ 1.
        """
        M, n = self.iteration_matrix(alpha, c), self.size
        if not self.spectral_radius(alpha, c) < 1:
            raise ValueError(f"alpha = {alpha:g}, c = {c:g} is unstable (rho >= 1): there is no stationary covariance")
        entry = alpha * np.vstack([np.eye(n), (1 - c) * np.eye(n)]) @ _factor(noise, n)
        S = scipy.linalg.solve_discrete_lyapunov(M, entry @ entry.T)
        return Covariance(S[:n, :n], S[n:, n:], S[:n, n:])

    # --- contracts ------------------------------------------------------------------------------------------------

    def _require_regular(self) -> None:
        """ValueError where B is singular, naming the features that depend on others."""
        if spectrum.is_singular(self.B, self.A, self.B):
            raise ValueError(spectrum.redundant_features(self.B))

    def _never_stable(self) -> bool:
        """Whether det(B−A) ≤ 0, which rules out every (α, c): det(I−M) = αⁿ(1−c)ⁿ·det(B−A)."""
        self._require_regular()
        difference = self.B - self.A
        return spectrum.is_singular(difference, self.A, self.B) or bool(np.linalg.slogdet(difference)[0] < 0)

    def _resolution(self) -> float | None:
        return None if self.size <= EXACT_UP_TO else 10 ** (1 / SCAN_PER_DECADE)


def _vector(name: str, value: Any, n: int) -> Array:
    array = real_array(name, value)
    if array.shape not in ((), (n,)):
        raise ValueError(f"{name} has shape {array.shape}: expected ({n},)")
    return array


def _factor(noise: Any, n: int) -> Array:
    """L with L·Lᵀ the covariance of the step noise: a standard deviation times I, or a factor of a covariance."""
    array = real_array("noise", noise)
    if array.ndim == 0 and array >= 0:
        return np.asarray(array * np.eye(n))
    if array.shape != (n, n) or not np.allclose(array, array.T):
        raise ValueError(f"noise must be a standard deviation at least 0, or a covariance of shape ({n}, {n})")
    size, axes = np.linalg.eigh(array)
    if size[0] < -1e-12 * max(1.0, size[-1]):
        raise ValueError("noise is no covariance: it has a negative eigenvalue")
    return np.asarray(axes * np.sqrt(np.clip(size, 0, None)))
