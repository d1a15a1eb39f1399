"""Room 2: QN and TQN beside the single network X at (1−c)·α, step by step, and what the target is made of.

One dimension, step(Q, T) = a·T − b·Q: b is how steeply QN is pulled to its targets, a how much of T they hold.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from softstep import theory
from softstep.explorer.rooms.parameters import Curvature, OldWeight, Parameters, StepSize, TargetWeight
from softstep.explorer.rooms.snippets import filter_lines, ledger_lines, two_networks_lines
from softstep.target import TargetUpdate
from softstep.theory.checks import Array

LONGEST = 400
"""Gradient steps that are computed at most."""


class FilterParameters(Parameters, frozen=True):
    """The parameters of `filter`."""

    c: OldWeight = 0.9


class LedgerParameters(FilterParameters, frozen=True):
    """The parameters of `ledger`."""

    at: Annotated[int, Meta(ge=0, le=LONGEST, description="the gradient step at which T is inspected")] = 1


class StepParameters(FilterParameters, frozen=True):
    """The parameters of `two-networks`."""

    alpha: StepSize = 0.5
    a: TargetWeight = 0.9
    b: Curvature = 1.0
    start: Annotated[float, Meta(ge=-10.0, le=10.0, description="where Q, T and X start")] = 1.0
    steps: Annotated[int, Meta(ge=2, le=LONGEST, description="gradient steps")] = 40


def steps(alpha: float, c: float, a: float, b: float, start: float, steps: int) -> dict[str, Any]:
    """Paths of Q, T, X and the hard-copy twin, and the first two updates."""
    problem, small = theory.LinearTD.scalar(a, b), theory.blended_alpha(alpha, c)
    twin = TargetUpdate.hard(TargetUpdate.from_c(c).lag_matched_period())
    with np.errstate(all="ignore"):
        Q, T = (run[:, 0] for run in problem.simulate(alpha, c, steps, q0=[start]))
        X = problem.simulate(small, 0.0, steps, q0=[start]).Q[:, 0]
        Q_hard, T_hard = (run[:, 0] for run in problem.simulate(alpha, twin, steps, q0=[start]))
        apart, step = T - X, a * T - b * Q
    return {
        "alpha_prime": small, "Q": Q, "T": T, "X": X, "step": step, "apart": apart,
        "hard_period": twin.period, "Q_hard": Q_hard, "T_hard": T_hard,
        "first": {"T": T[1], "X": X[1], "apart": apart[1]},
        "second": {"T": T[2], "X": X[2], "apart": apart[2], "predicted": _second(alpha, c, a, b, start)},
        "says": _says(alpha, c, a, b), "python": two_networks_lines(alpha, c, a, b, start, steps),
    }  # fmt: skip


def ledger(c: float, at: int) -> dict[str, Any]:
    """What T is made of after `at` steps: the share of each past step k that has arrived, 1 − c^{at−k}."""
    period = TargetUpdate.from_c(c).lag_matched_period()
    hard = theory.ledger_weights(theory.schedule(TargetUpdate.hard(period), at), at)
    return {
        "at": at, "k": np.arange(at), "share": theory.ledger_weights(c, at), "hard": hard, "hard_period": period,
        "python": ledger_lines(c, at),
    }  # fmt: skip


def _second(alpha: float, c: float, a: float, b: float, start: float) -> float:
    """T_2 − X_2 = α(1−c)·[c·s_0 + step(Q_1, T_1) − step(T_1, T_1)], from the theory."""
    return float(theory.first_difference(lambda q, t: a * t - b * q, alpha, c, start))


def _says(alpha: float, c: float, a: float, b: float) -> str:
    """One sentence on the rate at which T really moves."""
    if theory.one_dimension.follows_single(alpha, c, b):
        return "Here T follows the single network exactly: " + (
            "c = 0 means there is no target." if c == 0 else "αb = 1, so QN solves its regression in one step."
        )
    if not alpha < theory.one_dimension.alpha_max(c, a, b):
        return "This pair diverges: α is above the largest stable one for this c."
    effective = theory.one_dimension.effective_alpha(alpha, c, a, b)
    if np.isnan(effective):
        return "T swings: no single network moves like it."
    small = theory.blended_alpha(alpha, c)
    return f"In the long run T moves like a single network at α = {effective:.4g}, not at (1−c)α = {small:.4g}."


def low_pass(c: float) -> dict[str, Any]:
    """The target as a filter of Q: gain over frequency, and the answer to a sudden change beside its hard-copy twin."""
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
        "hard": _copied(period, horizon), "python": filter_lines(c, horizon),
    }  # fmt: skip


def _copied(period: int, horizon: int) -> Array:
    """Share of a sudden change, made right after a copy, that the twin shows after 1 … horizon gradient steps."""
    return np.asarray(np.arange(1, horizon + 1) >= period, dtype=float)
