"""The two-network recursion unrolled: ledger, gap, momentum form, and the forum's third equation.

    Q_{t+1} = Q_t + α·s_t,    T_{t+1} = c_t·T_t + (1 − c_t)·Q_{t+1}    (order "post")

s_t is the optimizer's step, from any step function; for an optimizer with its own rate, α·s_t is the displacement. With
order "pre" the target blends with Q_t instead. The steps need not be gradients, nor linear.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from softstep.target import TargetUpdate, scheduled_tau
from softstep.theory.checks import Array, check_alpha, check_c, check_count, check_order, check_schedule, real_array

_BLOCK_ROWS = 256
"""Rows of weights that are multiplied with the steps at once."""


class Ledger(NamedTuple):
    """Trajectories of both networks, including time 0, shapes (t + 1, ...)."""

    Q: Array
    T: Array


class Momentum(NamedTuple):
    """The momentum form: Q and T of shapes (t + 1, ...), velocity v of shape (t, ...)."""

    Q: Array
    T: Array
    v: Array


def schedule(update: TargetUpdate, steps: int) -> Array:
    """Return the weight of the old target at each of `steps` gradient steps, shape (steps,).

    The weight is c at the steps at which the update is due, and 1 at all others. For a harmonic target it is
    1 − min(τ₀, K/t) at gradient step t. Raises ValueError if the γ of a harmonic target is missing.
    """
    t = np.arange(1, check_count("steps", steps, 0) + 1)
    c = (
        update.c
        if update.schedule == "constant"
        else 1 - scheduled_tau(update.tau, update.harmonic_steps, t, minimum=np.minimum)
    )
    return np.where(t % update.period == 0, c, 1.0)


def gap_weights(c: Any, t: int, order: str = "post") -> Array:
    """Return the fraction of each past step still missing from T_t: Q_t − T_t = α·Σ_k w_k·s_k + w_start·(Q_0 − T_0).

    The shape is (t + 1,): first w_start = Π_{j<t} c_j, then w_k = Π_{k≤j<t} c_j for k = 0 … t−1, which is c^{t−k} for
    constant c. With order "pre" the product starts at j = k + 1.
    """
    check_order(order)
    weights = check_schedule(c, check_count("t", t, 0))
    tail = np.cumprod(weights[::-1])[::-1]  # tail[k] = Π_{k≤j<t} c_j
    start = tail[:1] if t else np.ones(1)
    missing = tail if order == "post" else np.append(tail[1:], np.ones(min(t, 1)))
    return np.concatenate([start, missing])


def ledger_weights(c: Any, t: int, order: str = "post") -> Array:
    """Return the fraction of each past step that has arrived in T_t, shape (t,): 1 − c^{t−k} for k = 0 … t−1.

    Every step ends up in T with total weight 1 (times α): the target delays steps, it does not shrink them.
    """
    return 1.0 - gap_weights(c, t, order)[1:]


def gap(steps: Any, alpha: float, c: Any, q0: Any, t0: Any = None, order: str = "post") -> Array:
    """Compute the gap between the two networks in closed form, in blocks of rows of weights.

    Args:
        steps: s_k, shape (t, ...), t ≥ 0.
        alpha: size of a gradient step, above 0.
        c: weight of the old target: a scalar in [0, 1), or a schedule in [0, 1], which is t numbers or a function of
            the gradient step, counted from 1.
        q0: initial online parameters, shape (...).
        t0: initial target parameters, shape (...); a copy of q0 by default.
        order: "post" if the target blends with the new online parameters, "pre" if with the old ones.

    Returns:
        D_t = Q_t − T_t = α·Σ_{k<t} c^{t−k}·s_k + c^t·(Q_0 − T_0), shape (t + 1, ...).

    Raises:
        ValueError: the shapes do not fit, an argument is out of range, or a number is NaN.
    """
    check_order(order)
    s, q, initial_gap = _checked_start(steps, alpha, q0, t0)
    weights = check_schedule(c, len(s))
    flat = np.concatenate([(initial_gap / alpha)[None], s]).reshape(len(s) + 1, -1)
    rows = np.zeros((min(_BLOCK_ROWS, len(s) + 1), len(s) + 1))
    row, blocks, filled = np.zeros(len(s) + 1), [], 0
    row[0] = 1.0
    for t in range(len(s) + 1):
        rows[filled] = row
        filled += 1
        if filled == len(rows) or t == len(s):
            blocks.append(rows[:filled, : t + 1] @ flat[: t + 1])
            filled = 0
        if t < len(s):  # one step later every weight is c_t times as large, and step t joins
            row[: t + 1] *= weights[t]
            row[t + 1] = weights[t] if order == "post" else 1.0
    return alpha * np.concatenate(blocks).reshape(len(s) + 1, *q.shape)


def ledger(steps: Any, alpha: float, c: Any, q0: Any, t0: Any = None, order: str = "post") -> Ledger:
    """Compute both networks from the steps alone.

    Args:
        steps: s_k, shape (t, ...), t ≥ 0.
        alpha: size of a gradient step, above 0.
        c: weight of the old target: a scalar in [0, 1), or a schedule in [0, 1], which is t numbers or a function of
            the gradient step, counted from 1.
        q0: initial online parameters, shape (...).
        t0: initial target parameters, shape (...); a copy of q0 by default.
        order: "post" if the target blends with the new online parameters, "pre" if with the old ones.

    Returns:
        `Ledger(Q, T)` of shapes (t + 1, ...), time 0 first: Q_t = Q_0 + α·Σ_{k<t} s_k and
        T_t = Q_0 + α·Σ_{k<t} (1 − c^{t−k})·s_k − c^t·(Q_0 − T_0).

    Raises:
        ValueError: the shapes do not fit, α ≤ 0, c is out of range, or a number is NaN.
    """
    online = _online_trajectory(steps, alpha, q0)
    return Ledger(online, online - gap(steps, alpha, c, q0, t0, order))


def momentum_form(steps: Any, alpha: float, c: Any, q0: Any, t0: Any = None) -> Momentum:
    """Compute the target as an optimizer with momentum: v_t = c·v_{t−1} + s_t, T_{t+1} = T_t + (1−c)·α·v_t.

    The order is "post". From T_0 = Q_0 the velocity starts at s_0; an initial gap enters as v_0 = s_0 + (Q_0 − T_0)/α.

    Args:
        steps: s_k, shape (t, ...), t ≥ 0.
        alpha: size of a gradient step, above 0.
        c: weight of the old target: a scalar in [0, 1), or a schedule in [0, 1], which is t numbers or a function of
            the gradient step, counted from 1.
        q0: initial online parameters, shape (...).
        t0: initial target parameters, shape (...); a copy of q0 by default.

    Returns:
        `Momentum(Q, T, v)` with Q_{t+1} = T_{t+1} + α·c·v_t.

    Raises:
        ValueError: the shapes do not fit, α ≤ 0, c is out of range, or a number is NaN.
    """
    s, q, initial_gap = _checked_start(steps, alpha, q0, t0)
    weights = check_schedule(c, len(s))
    online, target, v = [q], [q - initial_gap], list[Array]()
    carried = initial_gap / alpha
    for c_t, s_t in zip(weights, s, strict=True):
        v.append(carried + s_t)
        target.append(target[-1] + (1 - c_t) * alpha * v[-1])
        carried = c_t * v[-1]
        online.append(target[-1] + alpha * carried)
    return Momentum(np.array(online), np.array(target), np.array(v).reshape(s.shape))


def third_equation(steps: Any, alpha: float, c: float, q0: Any) -> Array:
    """Compute the third equation V ← V + (1−c)·α·step(Q, T), the Q-network's own steps at the smaller rate.

    V_t = Q_0 + (1−c)·(Q_t − Q_0). It equals T_t at t = 1 only; at c = 0 it is Q itself. It is not the single network at
    (1−c)α, whose steps are computed with its own weights.

    Args:
        steps: s_k, shape (t, ...).
        alpha: size of a gradient step, above 0.
        c: weight of the old target, in [0, 1).
        q0: initial parameters, shape (...).

    Returns:
        V at times 0 … t, shape (t + 1, ...).
    """
    return _online_trajectory(steps, (1 - float(check_c(c))) * float(check_alpha(alpha)), q0)


def first_difference(step: Callable[[Any, Any], Any], alpha: float, c: float, q0: Any) -> Array:
    """Compute the first difference between T and the single network X at (1−c)·α, which is its own target.

    Their first updates from T_0 = Q_0 = X_0 agree: T_1 = X_1 = Q_0 + (1−c)·α·s_0. The second ones differ.

    Args:
        step: any function of (online, target) parameters.
        alpha: size of a gradient step, above 0.
        c: weight of the old target, in [0, 1).
        q0: initial parameters of all three networks, any shape.

    Returns:
        T_2 − X_2 = α(1−c)·[c·s_0 + step(Q_1, T_1) − step(T_1, T_1)], shape of `q0`.
    """
    c, alpha = float(check_c(c)), float(check_alpha(alpha))
    q = real_array("q0", q0)
    s0 = np.asarray(step(q, q))
    q1, t1 = q + alpha * s0, q + (1 - c) * alpha * s0
    return np.asarray(alpha * (1 - c) * (c * s0 + step(q1, t1) - step(t1, t1)))


def _checked_start(steps: Any, alpha: float, q0: Any, t0: Any) -> tuple[Array, Array, Array]:
    """Return the steps, Q_0 and the initial gap Q_0 − T_0, after checking their shapes against each other.

    Args:
        steps: s_k, shape (t, ...).
        alpha: size of a gradient step, above 0.
        q0: initial online parameters, shape (...).
        t0: initial target parameters, shape (...), or None for a copy of q0.
    """
    check_alpha(alpha)
    q, s = real_array("q0", q0), real_array("steps", steps)
    t = q if t0 is None else real_array("t0", t0)
    if s.ndim == 0 or s.shape[1:] != q.shape or t.shape != q.shape:
        raise ValueError(f"shapes do not fit: steps {s.shape} must be (t, *q0.shape), q0 {q.shape}, t0 {t.shape}")
    return s, q, np.asarray(q - t)


def _online_trajectory(steps: Any, alpha: float, q0: Any) -> Array:
    """Return Q_t = Q_0 + α·Σ_{k<t} s_k, shape (t + 1, ...)."""
    s, q, _ = _checked_start(steps, alpha, q0, None)
    return np.concatenate([q[None], q + alpha * np.cumsum(s, axis=0)])
