"""Eigenvalues of the iteration matrix, kept accurate where they matter: next to 1.

Everything is computed from M − I, so that ρ − 1 keeps its digits when α or 1 − c is tiny. Here `share` is 1 − c.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.linalg

from softstep.theory.checks import Array, Spectrum

_PER_THREAD = 10_000
"""Matrices worth a thread of their own."""


def displacement(A: Array, B: Array, alpha: Any, share: Any) -> Array:
    """M − I = [[−αB, αA], [s(I−αB), −s(I−αA)]], s = 1 − c. alpha and share broadcast: shape (..., 2n, 2n)."""
    n, identity = len(A), np.eye(len(A))
    alpha, share = np.broadcast_arrays(alpha, share)
    a, s = alpha[..., None, None], share[..., None, None]
    out = np.empty((*alpha.shape, 2 * n, 2 * n))
    out[..., :n, :n], out[..., :n, n:] = -a * B, a * A
    out[..., n:, :n], out[..., n:, n:] = s * (identity - a * B), s * (a * A - identity)
    return out


def growth(A: Array, B: Array, alpha: Any, share: Any) -> Array:
    """ρ(M) − 1, with α and s = 1 − c broadcast: max over eigenvalues μ of M − I of |1+μ| − 1.

    |1+μ| − 1 = (2·Re μ + |μ|²)/(1 + |1+μ|) loses no digits for small μ. Where s = 1 the target is Q itself and
    μ are the eigenvalues of α(A − B) alone.
    """
    alpha, share = np.broadcast_arrays(np.asarray(alpha), np.asarray(share))
    single = share == 1
    height = np.empty(alpha.shape)
    height[~single] = _highest(displacement(A, B, alpha[~single], share[~single]))
    height[single] = _highest(alpha[single][:, None, None] * (A - B))
    return height


def _highest(X: Array) -> Array:
    """Largest |1 + μ| − 1 over the eigenvalues μ of each X (m, k, k); large stacks are shared out among threads."""
    parts = np.array_split(X, max(1, min(os.cpu_count() or 1, len(X) // _PER_THREAD)))
    if len(parts) == 1:
        return modulus_excess(eigenvalues(X)).max(axis=-1) if len(X) else np.empty(0)
    with ThreadPoolExecutor(len(parts)) as pool:
        return np.concatenate(list(pool.map(lambda part: modulus_excess(eigenvalues(part)).max(axis=-1), parts)))


def eigenvalues(X: Array) -> Spectrum:
    """Eigenvalues as complex numbers, shape (..., m) for matrices (..., m, m)."""
    return np.asarray(np.linalg.eigvals(X), dtype=np.complex128)


def modulus_excess(mu: Spectrum) -> Array:
    """|1 + μ| − 1 without cancellation. Any shape."""
    return np.asarray((2 * mu.real + mu.real**2 + mu.imag**2) / (1 + np.abs(1 + mu)))


def abscissa(A: Array, B: Array, kappa: Any) -> Array:
    """max Re eig F(κ), F(κ) = [[−B, A], [κI, −κI]]; kappa of any shape."""
    n, identity = len(A), np.eye(len(A))
    k = np.asarray(kappa)[..., None, None]
    F = np.empty((*np.shape(kappa), 2 * n, 2 * n))
    F[..., :n, :n], F[..., :n, n:], F[..., n:, :n], F[..., n:, n:] = -B, A, k * identity, -k * identity
    return np.asarray(eigenvalues(F).real.max(axis=-1))


def smallest(X: Array) -> float:
    """Smallest singular value."""
    return float(np.linalg.svd(X, compute_uv=False)[-1])


def largest(*matrices: Array) -> float:
    """Largest singular value of any of the matrices."""
    return max(float(np.linalg.svd(X, compute_uv=False)[0]) for X in matrices)


def is_singular(X: Array, *reference: Array) -> bool:
    """Whether X is singular to working precision, against the size of the matrices it is made of."""
    return bool(smallest(X) <= 8 * len(X) * np.finfo(float).eps * largest(X, *reference))


def redundant_features(B: Array) -> str:
    """One line that names features which depend on the others: the last columns of a pivoted QR of B."""
    _, R, order = scipy.linalg.qr(B, pivoting=True)
    diagonal = np.abs(np.diag(R))
    dependent = sorted(int(i) for i in order[diagonal <= 1e-12 * max(diagonal[0], np.finfo(float).tiny)])
    named = ", ".join(map(str, dependent or [int(order[-1])]))
    return (
        f"B is singular: feature(s) {named} (counting from 0) repeat the others on the visited states;"
        " drop them or take .rowspace()"
    )


def limits_in_words(small: Spectrum, slow: Spectrum, hard: bool) -> str:
    """What the two limit spectra say about small steps and slow targets."""
    fine, safe = small.real.max() < 0, slow.real.max() < 0
    steps = "stable" if fine else "unstable"
    targets = "stable" if safe else "unstable"
    copies = "stable" if hard else "unstable"
    return (
        f"Small steps at fixed c: {steps} (max Re eig(A-B) = {small.real.max():.6g}).\n"
        f"Slow targets at fixed alpha < 2/lambda_max(B): {targets} (max Re eig(B^-1 A - I) = {slow.real.max():.6g}).\n"
        f"Rare hard copies: {copies} (spectral radius of B^-1 A = {np.abs(slow + 1).max():.6g})."
    )
