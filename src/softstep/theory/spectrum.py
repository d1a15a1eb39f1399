"""Eigenvalues of the iteration matrix, accurate near 1, where stability is decided.

Everything is computed from M − I, so that ρ − 1 keeps its digits when α or τ = 1 − c is tiny.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.linalg

from softstep.theory.checks import Array, Spectrum

_MATRICES_PER_THREAD = 10_000
"""Number of matrices above which another thread pays off."""


def displacement(A: Array, B: Array, alpha: Any, tau: Any) -> Array:
    """Return M − I = [[−αB, αA], [τ(I−αB), −τ(I−αA)]].

    Args:
        A: shape (n, n).
        B: shape (n, n).
        alpha: size of a gradient step.
        tau: weight of the new parameters, 1 − c; broadcasts with alpha.

    Returns:
        The matrices, shape (..., 2n, 2n).
    """
    n, identity = len(A), np.eye(len(A))
    alpha, tau = np.broadcast_arrays(alpha, tau)
    a, s = alpha[..., None, None], tau[..., None, None]
    out = np.empty((*alpha.shape, 2 * n, 2 * n))
    out[..., :n, :n], out[..., :n, n:] = -a * B, a * A
    out[..., n:, :n], out[..., n:, n:] = s * (identity - a * B), s * (a * A - identity)
    return out


def growth(A: Array, B: Array, alpha: Any, tau: Any) -> Array:
    """Return ρ(M) − 1, the maximum of |1+μ| − 1 over the eigenvalues μ of M − I.

    |1+μ| − 1 = (2·Re μ + |μ|²)/(1 + |1+μ|) loses no digits for small μ. At τ = 1 the target is Q itself and μ are the
    eigenvalues of α(A − B) alone.

    Args:
        A: shape (n, n).
        B: shape (n, n).
        alpha: size of a gradient step.
        tau: weight of the new parameters, 1 − c; broadcasts with alpha.
    """
    alpha, tau = np.broadcast_arrays(np.asarray(alpha), np.asarray(tau))
    single = tau == 1
    excess = np.empty(alpha.shape)
    excess[~single] = _largest_excess(displacement(A, B, alpha[~single], tau[~single]))
    excess[single] = _largest_excess(alpha[single][:, None, None] * (A - B))
    return excess


def _largest_excess(X: Array) -> Array:
    """Return the largest |1 + μ| − 1 over the eigenvalues μ of each matrix of X (m, k, k).

    Large stacks are split among threads.
    """
    parts = np.array_split(X, max(1, min(os.cpu_count() or 1, len(X) // _MATRICES_PER_THREAD)))
    if len(parts) == 1:
        return modulus_excess(eigenvalues(X)).max(axis=-1) if len(X) else np.empty(0)
    with ThreadPoolExecutor(len(parts)) as pool:
        return np.concatenate(list(pool.map(lambda part: modulus_excess(eigenvalues(part)).max(axis=-1), parts)))


def eigenvalues(X: Array) -> Spectrum:
    """Return the eigenvalues as complex numbers, shape (..., m) for matrices (..., m, m)."""
    return np.asarray(np.linalg.eigvals(X), dtype=np.complex128)


def modulus_excess(mu: Spectrum) -> Array:
    """Compute |1 + μ| − 1 without cancellation, any shape."""
    return np.asarray((2 * mu.real + mu.real**2 + mu.imag**2) / (1 + np.abs(1 + mu)))


def abscissa(A: Array, B: Array, kappa: Any) -> Array:
    """Return max Re eig F(κ) with F(κ) = [[−B, A], [κI, −κI]], for kappa of any shape."""
    n, identity = len(A), np.eye(len(A))
    k = np.asarray(kappa)[..., None, None]
    F = np.empty((*np.shape(kappa), 2 * n, 2 * n))
    F[..., :n, :n], F[..., :n, n:], F[..., n:, :n], F[..., n:, n:] = -B, A, k * identity, -k * identity
    return np.asarray(eigenvalues(F).real.max(axis=-1))


def smallest(X: Array) -> float:
    """Return the smallest singular value."""
    return float(np.linalg.svd(X, compute_uv=False)[-1])


def largest(*matrices: Array) -> float:
    """Return the largest singular value of any of the matrices."""
    return max(float(np.linalg.svd(X, compute_uv=False)[0]) for X in matrices)


def is_singular(X: Array, *reference: Array) -> bool:
    """Return whether X is singular to working precision, relative to the size of the matrices it is made of."""
    return bool(smallest(X) <= 8 * len(X) * np.finfo(float).eps * largest(X, *reference))


def redundant_features(B: Array) -> str:
    """Name, in one line, the features that depend on the others: the last columns of a pivoted QR of B."""
    _, R, order = scipy.linalg.qr(B, pivoting=True)
    diagonal = np.abs(np.diag(R))
    dependent = sorted(int(i) for i in order[diagonal <= 1e-12 * max(diagonal[0], np.finfo(float).tiny)])
    names = ", ".join(map(str, dependent or [int(order[-1])]))
    return (
        f"B is singular: feature(s) {names} (counting from 0) depend on the others on the visited states;"
        " drop them or use .rowspace()"
    )


def limits_in_words(small_steps: Spectrum, slow_target: Spectrum, hard_copies_stable: bool) -> str:
    """Say what the two limit spectra imply for small steps, slow targets and rare hard copies, a line each."""
    steps, slow, radius = small_steps.real.max(), slow_target.real.max(), np.abs(slow_target + 1).max()
    steps_word, slow_word = ("stable" if value < 0 else "unstable" for value in (steps, slow))
    copies_word = "stable" if hard_copies_stable else "unstable"
    return (
        f"Small steps at fixed c: {steps_word} (max Re eig(A-B) = {steps:.6g}).\n"
        f"Slow targets at fixed alpha < 2/lambda_max(B): {slow_word} (max Re eig(B^-1 A - I) = {slow:.6g}).\n"
        f"Rare hard copies: {copies_word} (spectral radius of B^-1 A = {radius:.6g})."
    )
