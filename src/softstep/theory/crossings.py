"""The points at which eigenvalues can cross the stability boundary: polynomial systems solved as linear pencils.

Along one axis z of the (α, c) plane the iteration matrix can be written, in suitable coordinates, as

    X(z) = [[F, G], [z·U, I + z·V]]          (discrete: c as z = 1 − c, or α as z = α)

and in the limit of small steps the generator is Y(z) = [[F, G], [z·U, z·V]] (z = κ). X has a pair of eigenvalues
with λ_i·λ_j = 1 iff its bialternate square X ⊙ X has the eigenvalue 1. Y has a pair with λ_i + λ_j = 0 iff 2Y ⊙ I is
singular. Both matrices are quadratic in z, but their quadratic rows share a factor z. Divided by it, those rows are
linear, so all crossings are the eigenvalues of one generalised problem of size n(2n−1).
Source of the bialternate product: Stéphanos 1900; Guckenheimer, Myers & Sturmfels 1997.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from softstep.theory.checks import Array, Mask

_IMAGINARY_TOLERANCE = 1e-3


def bialternate(X: Array, Y: Array) -> Array:
    """Return X ⊙ Y on pairs p < q: ½(X_pr·Y_qs − X_ps·Y_qr + Y_pr·X_qs − Y_ps·X_qr).

    X and Y have shape (m, m), the result (m(m−1)/2, m(m−1)/2). The eigenvalues of X ⊙ X are λ_i·λ_j, those of 2X ⊙ I
    are λ_i + λ_j, with i < j.
    """
    p, q = np.triu_indices(len(X), 1)
    pp, pq, qp, qq = np.ix_(p, p), np.ix_(p, q), np.ix_(q, p), np.ix_(q, q)
    return np.asarray((X[pp] * Y[qq] - X[pq] * Y[qp] + Y[pp] * X[qq] - Y[pq] * X[qp]) / 2)


def circle_crossings(F: Array, G: Array, U: Array, V: Array) -> Array:
    """Return all z > 0 at which X(z) may have an eigenvalue on the unit circle.

    Complex pairs satisfy λ·λ̄ = 1. Real crossings satisfy det(X + I) = 0, because det(X − I) = zⁿ·det(...) never
    changes sign. Some candidates are not crossings (a real pair λ·λ⁻¹, a nearly real root), so test both sides.

    Args:
        F: upper left block of X, shape (n, n).
        G: upper right block, shape (n, n).
        U: slope of the lower left block, shape (n, n).
        V: slope of the lower right block, shape (n, n).

    Returns:
        The candidates in ascending order, shape (m,).
    """
    n = len(F)
    identity, zero = np.eye(n), np.zeros((n, n))
    X0, X1 = np.block([[F, G], [zero, identity]]), np.block([[zero, zero], [U, V]])
    square, mixed, top = bialternate(X0, X0), 2 * bialternate(X0, X1), bialternate(X1, X1)
    both_lower = _both_lower(n)[:, None]
    constant = np.where(both_lower, mixed, square - np.eye(len(square)))
    slope = np.where(both_lower, top, mixed)
    return np.sort(np.concatenate([_positive_roots(constant, slope), _positive_roots(X0 + np.eye(2 * n), X1)]))


def axis_crossings(F: Array, G: Array, U: Array, V: Array) -> Array:
    """Return all z > 0 at which Y(z) may have an eigenvalue on the imaginary axis.

    Zero eigenvalues are left out, because det Y = zⁿ·det(...) never changes sign.

    Args:
        F: upper left block of Y, shape (n, n).
        G: upper right block, shape (n, n).
        U: slope of the lower left block, shape (n, n).
        V: slope of the lower right block, shape (n, n).

    Returns:
        The candidates in ascending order, shape (m,).
    """
    n = len(F)
    identity, zero = np.eye(2 * n), np.zeros((n, n))
    Y0, Y1 = np.block([[F, G], [zero, zero]]), np.block([[zero, zero], [U, V]])
    constant, slope = 2 * bialternate(Y0, identity), 2 * bialternate(Y1, identity)
    both_lower = _both_lower(n)[:, None]
    return np.sort(_positive_roots(np.where(both_lower, slope, constant), np.where(both_lower, 0.0, slope)))


def _both_lower(n: int) -> Mask:
    """Return which pairs p < q of 2n rows lie in the lower half, where the rows share the factor z."""
    return np.asarray(np.triu_indices(2 * n, 1)[0] >= n)


def _positive_roots(constant: Array, slope: Array) -> Array:
    """Return the positive, nearly real z with det(constant + z·slope) = 0, after scaling the rows to size 1."""
    size = np.maximum(np.abs(constant).max(axis=1), np.abs(slope).max(axis=1))[:, None]
    size[size == 0] = 1.0
    numerator, denominator = scipy.linalg.eigvals(constant / size, -slope / size, homogeneous_eigvals=True)
    finite = np.abs(denominator) > np.finfo(float).tiny
    z = numerator[finite] / denominator[finite]
    real = (z.real > 0) & (np.abs(z.imag) <= _IMAGINARY_TOLERANCE * z.real) & np.isfinite(z.real)
    return np.asarray(z.real[real])
