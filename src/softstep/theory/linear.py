"""Linear expected dynamics of the two networks: spectra, stability windows, noise.

    θ ← θ + α(A·w − B·θ + r),    w ← c·w + (1−c)·θ        (θ online, w target, in this order)
    M = [[I−αB, αA], [(1−c)(I−αB), cI+(1−c)αA]]

A pair (α, c) is stable if the spectral radius ρ(M) is below 1. c = 0 is the single network, I + α(A−B).
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

MAX_EXACT_SIZE = 10
"""Largest number of features for which crossings are computed. For more features they are found by scanning."""


class Covariance(NamedTuple):
    """Stationary covariances of online and target parameters, shapes (n, n); QT = E[θ·wᵀ]."""

    Q: Array
    T: Array
    QT: Array


class Limits(NamedTuple):
    """The two limit spectra, shapes (n,), and what they imply."""

    small_steps: Spectrum  # eig(A − B): α → 0 at fixed c
    slow_target: Spectrum  # eig(B⁻¹A − I): c → 1 at fixed α < 2/λmax(B)
    small_steps_stable: bool
    slow_target_stable: bool
    hard_copies_stable: bool  # spectral radius of B⁻¹A below 1: copies with N → ∞
    says: str  # the same in words, one line per limit


@dataclass(frozen=True, eq=False, init=False)
class LinearTD:
    """A linear problem θ ← θ + α(A·w − B·θ + r).

    A problem with singular B can be simulated; methods that need B⁻¹ raise ValueError and name the redundant features
    (see `.rowspace()`).

    Args:
        A: coefficients of the target, shape (n, n).
        B: coefficients of the online parameters, shape (n, n).
        r: constant term, shape (n,); zeros by default.
        mdp: the MDP that A, B and r were computed from, if any.

    Raises:
        ValueError: the shapes do not fit or a number is NaN.
    """

    A: Array
    B: Array
    r: Array
    mdp: MDP | None
    """The MDP that the matrices were computed from, if any."""

    def __init__(self, A: Any, B: Any, r: Any = None, mdp: MDP | None = None) -> None:
        A, B = real_array("A", A, 2), real_array("B", B, 2)
        r = real_array("r", np.zeros(len(A)) if r is None else r, 1)
        if A.shape != B.shape or A.shape != (len(r), len(r)) or len(r) == 0:
            raise ValueError(f"shapes do not fit: A {A.shape} and B {B.shape} must be (n, n), r {r.shape} must be (n,)")
        for name, value in (("A", A), ("B", B), ("r", r), ("mdp", mdp)):
            object.__setattr__(self, name, value)

    @classmethod
    def from_mdp(cls, phi: Any, P: Any, d: Any, gamma: float, rewards: Any = None) -> LinearTD:
        """Return the problem with B = ΦᵀDΦ, A = γ·ΦᵀDPΦ, r = ΦᵀD·rewards. Source: Tsitsiklis & Van Roy 1997.

        Args:
            phi: features Φ of each state, shape (S, n).
            P: transition probabilities, shape (S, S).
            d: how often each state is updated, the diagonal of D, shape (S,).
            gamma: discount per step γ, in [0, 1).
            rewards: expected reward on leaving each state, shape (S,); zeros by default.

        Raises:
            ValueError: the ingredients are not an MDP (see `mdp.make_mdp`).
        """
        mdp = make_mdp(phi, P, d, gamma, rewards)
        return cls(*matrices(mdp), mdp)

    @classmethod
    def scalar(cls, a: float, b: float) -> LinearTD:
        """Return the one-dimensional problem A = [[a]], B = [[b]], r = 0."""
        return cls(np.array([[a]], dtype=float), np.array([[b]], dtype=float))

    @property
    def size(self) -> int:
        """The number of features n."""
        return len(self.A)

    # --- matrices and spectra ---------------------------------------------------------------------------------

    def iteration_matrix(self, alpha: float, c: float) -> Array:
        """Return M = [[I−αB, αA], [(1−c)(I−αB), cI+(1−c)αA]], shape (2n, 2n), which acts on (θ, w)."""
        share = 1 - float(check_c(c))
        return np.eye(2 * self.size) + spectrum.displacement(self.A, self.B, check_alpha(alpha), np.asarray(share))

    def hard_copy_matrix(self, alpha: float, N: int) -> Array:
        """Return H_N = G^N + (I − G^N)·B⁻¹A with G = I − αB, shape (n, n).

        It maps w at one hard copy to w at the next, N gradient steps later. It is computed as a power of
        [[G, αA], [0, I]], so B may be singular. Source of hard copies: Mnih et al. 2015.
        """
        n, identity = self.size, np.eye(self.size)
        online = np.block([[identity - check_alpha(alpha) * self.B, alpha * self.A], [np.zeros((n, n)), identity]])
        power = np.linalg.matrix_power(online, check_count("N", N, 1))
        return np.asarray(power[:n, :n] + power[:n, n:])

    def spectral_radius(self, alpha: Any, c: Any) -> Any:
        """Return ρ(M), the growth factor per gradient step; c = 0 is the single network.

        alpha and c broadcast, so a map is `spectral_radius(alphas[:, None], cs)`. Two numbers give a number.
        """
        rho = 1 + spectrum.growth(self.A, self.B, check_alpha(alpha), 1 - check_c(c))
        return float(rho) if rho.ndim == 0 else rho

    def hard_copy_radius(self, alpha: float, N: int) -> float:
        """Return the growth factor per gradient step with a hard copy at every N-th step: ρ(H_N)^{1/N}."""
        return float(np.abs(np.linalg.eigvals(self.hard_copy_matrix(alpha, N))).max() ** (1 / N))

    def fixed_point(self) -> Array:
        """Return θ* = w* = (B − A)⁻¹·r, shape (n,), the same for every (α, c).

        Raises ValueError if B − A is singular.
        """
        if spectrum.is_singular(self.B - self.A, self.A, self.B):
            raise ValueError("B - A is singular: there is no unique fixed point; try .rowspace()")
        return np.asarray(np.linalg.solve(self.B - self.A, self.r))

    def limits(self) -> Limits:
        """Return both limit spectra: eig(A−B) decides α → 0 at fixed c, eig(B⁻¹A−I) decides c → 1 at fixed α.

        ρ = 1 + α·max Re eig(A−B) + o(α) and ρ = 1 + (1−c)·max Re eig(B⁻¹A−I) + o(1−c). Hard copies with N → ∞
        need the spectral *radius* of B⁻¹A below 1, soft updates only its eigenvalues' real parts.
        """
        self._require_regular()
        small_steps = spectrum.eigenvalues(self.A - self.B)
        slow_target = spectrum.eigenvalues(np.asarray(np.linalg.solve(self.B, self.A), dtype=float)) - 1
        small_steps_stable, slow_target_stable = bool(small_steps.real.max() < 0), bool(slow_target.real.max() < 0)
        hard_copies_stable = bool(np.abs(slow_target + 1).max() < 1)
        text = spectrum.limits_in_words(small_steps, slow_target, hard_copies_stable)
        return Limits(small_steps, slow_target, small_steps_stable, slow_target_stable, hard_copies_stable, text)

    def rowspace(self) -> LinearTD:
        """Return the problem on the span of the updates: VᵀAV, VᵀBV, Vᵀr with V orthonormal, shape (n, k).

        Directions in which A, Aᵀ, B and Bᵀ all vanish never move (redundant features). On the rest the spectrum is
        unchanged except for eigenvalues 1 and c. For a problem from an MDP the span is that of the visited features.
        """
        spanning = np.hstack([self.B] if self.mdp is not None else [self.A, self.A.T, self.B, self.B.T])
        left, size, _ = np.linalg.svd(spanning)
        V = left[:, : int((size > 1e-12 * size[0]).sum())]
        mdp = None if self.mdp is None else self.mdp._replace(phi=self.mdp.phi @ V)
        return LinearTD(V.T @ self.A @ V, V.T @ self.B @ V, V.T @ self.r, mdp)

    # --- windows ----------------------------------------------------------------------------------------------

    def stable_c(self, alpha: float) -> Windows:
        """Return the open intervals of c in [0, 1) with ρ < 1; one that starts at 0 includes the single network.

        They are exact for n ≤ 10 (`resolution` None): complex pairs come from det(M ⊙ M − I) = 0, real crossings from
        det(I + M) = 0, and det(I − M) = αⁿ(1−c)ⁿ·det(B−A) never changes sign. For larger n they come from a scan in
        log(1−c).
        """
        step = float(check_alpha(alpha))
        if self._never_stable():
            return Windows()
        identity = np.eye(self.size)
        G, A = identity - step * self.B, step * self.A
        exact, low = self.size <= MAX_EXACT_SIZE, min(1e-3, 1e-3 * step * spectrum.smallest(self.B))
        splits = circle_crossings(G, A, G, A - identity) if exact else np.empty(0)
        tau_windows = find_windows(lambda tau: spectrum.growth(self.A, self.B, np.asarray(step), tau), splits,
                                   scan(low, 1.0)[:: 8 if exact else 1], 1.0)  # fmt: skip
        return Windows([(1 - high, 1 - low) for low, high in reversed(tau_windows)], self._resolution())

    def stable_alpha(self, c: float) -> Windows:
        """Return the open intervals of α > 0 with ρ < 1 at this c; an interval without an upper end ends at inf.

        They are exact for n ≤ 10 and come from a scan in log α for larger n, as in `stable_c`.
        """
        tau = 1 - float(check_c(c))
        if self._never_stable():
            return Windows()
        identity, exact = np.eye(self.size), self.size <= MAX_EXACT_SIZE
        coupling, drift = -(1 - tau) * tau * identity, tau * self.A - self.B
        splits = circle_crossings((1 - tau) * identity, coupling, -self.A, drift) if exact else np.empty(0)
        scale = spectrum.largest(self.A, self.B)
        low, high = 1e-4 * tau / scale, 1e2 / min(spectrum.smallest(self.B), spectrum.smallest(self.B - self.A))
        samples = scan(low, high)[:: 8 if exact else 1]
        windows = find_windows(
            lambda alpha: spectrum.growth(self.A, self.B, alpha, np.asarray(tau)), splits, samples, np.inf
        )
        return Windows(windows, self._resolution())

    def stable_kappa(self) -> Windows:
        """Return the open intervals of κ = (1−c)/α > 0 that are stable for small steps.

        There F(κ) = [[−B, A], [κI, −κI]] is Hurwitz, and ρ(α, 1−κα) = 1 + α·max Re eig F(κ) + o(α). κ → ∞ is the
        single network, κ → 0 the slow target.
        """
        if self._never_stable():
            return Windows()
        identity, exact = np.eye(self.size), self.size <= MAX_EXACT_SIZE
        splits = axis_crossings(-self.B, self.A, identity, -identity) if exact else np.empty(0)
        low, high = 1e-3 * spectrum.smallest(self.B), 1e3 * spectrum.largest(self.A, self.B)
        samples = scan(low, high)[:: 8 if exact else 1]
        windows = find_windows(lambda kappa: spectrum.abscissa(self.A, self.B, kappa), splits, samples, np.inf)
        return Windows(windows, self._resolution())

    # --- the best pair, and the equivalent single network -------------------------------------------------------

    def best_c(self, alpha: float) -> float:
        """Return the c in [0, 1) with the smallest ρ, the smaller c on ties; nan if ρ only falls towards c → 1."""
        self._require_regular()
        step = check_alpha(alpha)
        low = min(1e-4, 1e-3 * float(step) * spectrum.smallest(self.B))
        tau = search.largest_minimiser(lambda z: spectrum.growth(self.A, self.B, step, z), scan(low, 1.0))
        return 1 - tau

    def best(self) -> Best:
        """Return the pair with the smallest ρ over α > 0 and c in [0, 1), the smaller c on ties; nan if none is stable.

        A grid over (log α, log(1−c)) has 12 points per decade; the simplex method refines its best cells.
        """
        if self._never_stable():
            return Best(np.nan, np.nan, np.nan)
        scale, weakest = spectrum.largest(self.A, self.B), spectrum.smallest(self.B)
        alphas = scan(1e-2 / scale, 4 / min(weakest, spectrum.smallest(self.B - self.A)))[::2]
        taus = scan(1e-3 * min(1.0, weakest / scale), 1.0)[::2]
        return search.best_pair(lambda a, z: spectrum.growth(self.A, self.B, a, z), alphas, taus)

    def effective_alpha(self, alpha: float, c: float) -> float:
        """Return the rate of the single network that grows or decays as fast; nan if there is none.

        It is the smallest α′ > 0 with ρ(I + α′(A−B)) = ρ(M(α, c)).
        """
        self._require_regular()
        growth = float(spectrum.growth(self.A, self.B, check_alpha(alpha), 1 - check_c(c)))
        return search.smallest_alpha(spectrum.eigenvalues(self.A - self.B), growth)

    # --- trajectories and noise ---------------------------------------------------------------------------------

    def simulate(
        self, alpha: float, c: Any, steps: int, noise: Any = 0.0, seed: int | None = None, order: str = "post",
        q0: Any = None, t0: Any = None,
    ) -> Ledger:  # fmt: skip
        """Run the recursion and return both trajectories, time 0 first.

        Args:
            alpha: size of a gradient step, above 0.
            c: a number in [0, 1), a schedule in [0, 1] (`steps` numbers, or a function of the gradient step, counted
                from 1), or a `TargetUpdate`.
            steps: number of gradient steps.
            noise: standard deviation of white noise in each step, or its covariance, shape (n, n).
            seed: seed of the noise generator.
            order: "post" if the target blends with the new online parameters, "pre" if with the old ones.
            q0: initial online parameters, shape (n,); ones by default.
            t0: initial target parameters, shape (n,); a copy of q0 by default.

        Returns:
            `Ledger(Q, T)` of shapes (steps + 1, n).

        Raises:
            ValueError: an argument is out of range or has the wrong shape.
        """
        check_order(order)
        step, count = float(check_alpha(alpha)), check_count("steps", steps, 0)
        weights = schedule(c, count) if isinstance(c, TargetUpdate) else check_schedule(c, count)
        step_noise = np.random.default_rng(seed).standard_normal((count, self.size)) @ _noise_factor(noise, self.size).T
        Q, T = np.empty((count + 1, self.size)), np.empty((count + 1, self.size))
        Q[0] = 1.0 if q0 is None else _vector("q0", q0, self.size)
        T[0] = Q[0] if t0 is None else _vector("t0", t0, self.size)
        blended = Q[1:] if order == "post" else Q
        with np.errstate(over="ignore", invalid="ignore"):
            for t, weight in enumerate(weights.tolist()):
                Q[t + 1] = Q[t] + step * (self.A @ T[t] - self.B @ Q[t] + self.r + step_noise[t])
                T[t + 1] = weight * T[t] + (1 - weight) * blended[t]
        return Ledger(Q, T)

    def stationary_covariance(self, alpha: float, c: float, noise: Any = 1.0) -> Covariance:
        """Return the stationary covariances around the fixed point under white step noise.

        They solve Σ = M·Σ·Mᵀ + E·Eᵀ with E = α·[I; (1−c)I]·noise. `noise` is the standard deviation of each component,
        or a covariance of shape (n, n). Raises ValueError if ρ(M) ≥ 1.
        """
        M, n = self.iteration_matrix(alpha, c), self.size
        if not self.spectral_radius(alpha, c) < 1:
            raise ValueError(f"alpha = {alpha:g}, c = {c:g} is unstable (rho >= 1): there is no stationary covariance")
        E = alpha * np.vstack([np.eye(n), (1 - c) * np.eye(n)]) @ _noise_factor(noise, n)
        S = scipy.linalg.solve_discrete_lyapunov(M, E @ E.T)
        return Covariance(S[:n, :n], S[n:, n:], S[:n, n:])

    # --- preconditions ----------------------------------------------------------------------------------------------

    def _require_regular(self) -> None:
        """Raise ValueError if B is singular, naming the features that depend on others."""
        if spectrum.is_singular(self.B, self.A, self.B):
            raise ValueError(spectrum.redundant_features(self.B))

    def _never_stable(self) -> bool:
        """Return whether det(B−A) ≤ 0, which rules out every (α, c): det(I−M) = αⁿ(1−c)ⁿ·det(B−A)."""
        self._require_regular()
        difference = self.B - self.A
        return spectrum.is_singular(difference, self.A, self.B) or bool(np.linalg.slogdet(difference)[0] < 0)

    def _resolution(self) -> float | None:
        return None if self.size <= MAX_EXACT_SIZE else 10 ** (1 / SCAN_PER_DECADE)


def _vector(name: str, value: Any, n: int) -> Array:
    array = real_array(name, value)
    if array.shape not in ((), (n,)):
        raise ValueError(f"{name} has shape {array.shape}: expected ({n},)")
    return array


def _noise_factor(noise: Any, n: int) -> Array:
    """Return L with L·Lᵀ the covariance of the step noise: a standard deviation times I, or a covariance's factor."""
    array = real_array("noise", noise)
    if array.ndim == 0 and array >= 0:
        return np.asarray(array * np.eye(n))
    if array.shape != (n, n) or not np.allclose(array, array.T):
        raise ValueError(f"noise must be a standard deviation of at least 0, or a covariance of shape ({n}, {n})")
    size, axes = np.linalg.eigh(array)
    if size[0] < -1e-12 * max(1.0, size[-1]):
        raise ValueError(f"noise is not a covariance: it has the negative eigenvalue {size[0]:g}")
    return np.asarray(axes * np.sqrt(np.clip(size, 0, None)))
