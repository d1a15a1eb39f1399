"""Room 2: QN and TQN beside the single network X at (1−c)·α, step by step, and which past steps make up the target.

One dimension, step(Q, T) = a·T − b·Q: b is the curvature of QN's regression, a the weight of T in its target.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from softstep import theory
from softstep.explorer.rooms.parameters import Number, Spec, Whole
from softstep.explorer.rooms.snippets import filter_lines, ledger_lines, two_networks_lines
from softstep.target import TargetUpdate
from softstep.theory.checks import Array

LONGEST = 400
"""Largest number of gradient steps."""

PAIR: Mapping[str, Spec] = {
    "alpha": Number("α, the size of a gradient step", 0.5, 1e-4, 10.0),
    "c": Number("c, the share of the old target that is kept", 0.9, 0.0, 0.9999),
    "a": Number("a, how much of T is in the regression target (γ, roughly)", 0.9, -5.0, 5.0),
    "b": Number("b, the curvature of QN's regression", 1.0, 0.01, 5.0),
}
STEPS: Mapping[str, Spec] = {
    **PAIR,
    "start": Number("where Q, T and X start", 1.0, -10.0, 10.0),
    "steps": Whole("gradient steps", 40, 2, LONGEST),
}
LEDGER: Mapping[str, Spec] = {"c": PAIR["c"], "at": Whole("the step at which T is looked at", 1, 0, LONGEST)}
FILTER: Mapping[str, Spec] = {"c": PAIR["c"]}


def simulate(alpha: float, c: float, a: float, b: float, start: float, steps: int) -> dict[str, Any]:
    """Simulate Q, T, X and the hard-copy twin, and compare T with X after the first two updates.

    Args:
        alpha: α, the size of a gradient step.
        c: Weight of the old target.
        a: Weight of T in the regression target.
        b: Curvature of QN's regression.
        start: Value at which Q, T and X start.
        steps: Gradient steps.

    Returns:
        The paths, each of shape (steps + 1,), and the differences between T and X.
    """
    problem, small = theory.LinearTD.scalar(a, b), theory.blended_alpha(alpha, c)
    twin = TargetUpdate.hard(TargetUpdate.from_c(c).lag_matched_period())
    with np.errstate(all="ignore"):
        Q, T = (run[:, 0] for run in problem.simulate(alpha, c, steps, q0=[start]))
        X = problem.simulate(small, 0.0, steps, q0=[start]).Q[:, 0]
        Q_hard, T_hard = (run[:, 0] for run in problem.simulate(alpha, twin, steps, q0=[start]))
        difference, step = T - X, a * T - b * Q
    return {
        "alpha_prime": small, "Q": Q, "T": T, "X": X, "step": step, "apart": difference,
        "hard_period": twin.period, "Q_hard": Q_hard, "T_hard": T_hard,
        "first": {"T": T[1], "X": X[1], "apart": difference[1]},
        "second": {"T": T[2], "X": X[2], "apart": difference[2],
                   "predicted": _second_difference(alpha, c, a, b, start)},
        "says": _says(alpha, c, a, b), "python": two_networks_lines(alpha, c, a, b, start, steps),
    }  # fmt: skip


def ledger(c: float, at: int) -> dict[str, Any]:
    """Return the share of each past step k that has arrived in T after `at` steps, 1 − c^{at−k}."""
    period = TargetUpdate.from_c(c).lag_matched_period()
    hard = theory.ledger_weights(theory.schedule(TargetUpdate.hard(period), at), at)
    return {
        "at": at, "k": np.arange(at), "share": theory.ledger_weights(c, at), "hard": hard, "hard_period": period,
        "python": ledger_lines(c, at),
    }  # fmt: skip


def _second_difference(alpha: float, c: float, a: float, b: float, start: float) -> float:
    """Return T_2 − X_2 = α(1−c)·[c·s_0 + step(Q_1, T_1) − step(T_1, T_1)] from the theory."""
    return float(theory.first_difference(lambda q, t: a * t - b * q, alpha, c, start))


def _says(alpha: float, c: float, a: float, b: float) -> str:
    """Say at which rate T really moves, in one sentence."""
    if theory.one_dimension.follows_single(alpha, c, b):
        return "Here T follows the single network exactly: " + (
            "with c = 0 there is no target network." if c == 0 else "with αb = 1, Q solves its regression in one step."
        )
    if not alpha < theory.one_dimension.alpha_max(c, a, b):
        return "This diverges: α is above the largest stable α for this c."
    effective = theory.one_dimension.effective_alpha(alpha, c, a, b)
    if np.isnan(effective):
        return "T oscillates here, so no single network moves like it."
    small = theory.blended_alpha(alpha, c)
    return f"In the long run, T moves like a single network at α = {effective:.4g}, not at (1−c)α = {small:.4g}."


def low_pass_filter(c: float) -> dict[str, Any]:
    """Return the target's gain over frequency, and its response to a sudden change beside its hard-copy twin."""
    update = TargetUpdate.from_c(c)
    low = min(0.01, 0.05 * (update.cutoff or 1.0))
    omega = np.geomspace(low, np.pi, 160)
    response = theory.frequency_response(c, omega)
    period = update.lag_matched_period()
    horizon = int(np.clip(np.ceil(max(3 * period, 12)), 12, LONGEST))
    return {
        "omega": omega, "gain_db": 20 * np.log10(np.abs(response)),
        "cutoff": update.cutoff, "cutoff_db": 10 * np.log10(0.5),
        "half_life": update.half_life, "mean_lag": update.mean_lag, "noise_gain": update.noise_gain,
        "hard_period": period, "age": np.arange(1, horizon + 1), "soft": theory.step_response(c, horizon),
        "hard": _hard_response(period, horizon), "python": filter_lines(c, horizon),
    }  # fmt: skip


def _hard_response(period: int, horizon: int) -> Array:
    """Return the share of a sudden change, right after a copy, that the twin shows after 1 … horizon steps."""
    return np.asarray(np.arange(1, horizon + 1) >= period, dtype=float)
