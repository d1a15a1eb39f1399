"""Room 2: QN and TQN beside the single network X at (1−c)·α, step by step, and which past steps make up the target.

One dimension, step(Q, T) = a·T − b·Q: b is the curvature of QN's regression, a the weight of T in its target.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from softstep import theory
from softstep.explorer.rooms.parameters import Curvature, OldWeight, Parameters, StepSize, TargetWeight
from softstep.explorer.rooms.snippets import filter_lines, ledger_lines, two_networks_lines
from softstep.explorer.rooms.words import count
from softstep.target import TargetUpdate

LONGEST = 2100
"""Largest number of gradient steps: three half-lives of T at c = 0.999."""
SHORTEST = 40
"""Smallest number of gradient steps of a run whose length follows from c."""
AGES = 240
"""Number of points of the response to a sudden change."""


class FilterParameters(Parameters, frozen=True):
    """The parameters of `filter`."""

    c: OldWeight = 0.9


class LedgerParameters(FilterParameters, frozen=True):
    """The parameters of `ledger`."""

    at: Annotated[int, Meta(ge=0, le=LONGEST, description="the gradient step at which T is inspected")] = 1


class StepParameters(FilterParameters, frozen=True):
    """The parameters of `two-networks`."""

    schedule: Annotated[Literal["constant", "harmonic"], Meta(
        description="whether c stays, or 1 − c falls as min(1 − c, 3/((1−γ)·t)) with the gradient steps t")
    ] = "constant"  # fmt: skip
    gamma: Annotated[float, Meta(ge=0.0, le=0.999, description="γ of the harmonic schedule")] = 0.9

    alpha: StepSize = 0.5
    a: TargetWeight = 0.9
    b: Curvature = 1.0
    start: Annotated[float, Meta(ge=-10.0, le=10.0, description="where Q, T and X start")] = 1.0
    steps: Annotated[int, Meta(
        ge=0, le=LONGEST, description="gradient steps, at least 2; fewer stand for three half-lives of T"
    )] = 0  # fmt: skip


def run_length(c: float) -> int:
    """Return the gradient steps of a run that is long enough to show what c does: three half-lives of T."""
    return int(np.clip(np.ceil(3 * TargetUpdate.from_c(c).half_life), SHORTEST, LONGEST))


def simulate(
    alpha: float, c: float, a: float, b: float, start: float, steps: int, schedule: str = "constant", gamma: float = 0.9
) -> dict[str, Any]:
    """Simulate Q, T, X and the hard-copy twin, and compare T with X after the first two updates.

    Args:
        alpha: α, the size of a gradient step.
        c: Weight of the old target.
        a: Weight of T in the regression target.
        b: Curvature of QN's regression.
        start: Value at which Q, T and X start.
        steps: Gradient steps; fewer than 2 stand for `run_length`.
        schedule: "harmonic" if 1 − c falls with the gradient steps; it does not before the third.
        gamma: γ of that schedule.

    Returns:
        The paths, each of shape (steps + 1,), and the differences between T and X.
    """
    steps = steps if steps >= 2 else run_length(c)
    problem, small = theory.LinearTD.scalar(a, b), theory.blended_alpha(alpha, c)
    twin = TargetUpdate.hard(TargetUpdate.from_c(c).lag_matched_period())
    with np.errstate(all="ignore"):
        soft = TargetUpdate.harmonic(gamma, 1 - c) if schedule == "harmonic" else c
        Q, T = (run[:, 0] for run in problem.simulate(alpha, soft, steps, q0=[start]))
        X = problem.simulate(small, 0.0, steps, q0=[start]).Q[:, 0]
        Q_hard, T_hard = (run[:, 0] for run in problem.simulate(alpha, twin, steps, q0=[start]))
        difference, step = T - X, a * T - b * Q
    return {
        "alpha_prime": small, "Q": Q, "T": T, "X": X, "step": step, "apart": difference,
        "hard_period": twin.period, "Q_hard": Q_hard, "T_hard": T_hard,
        "first": {"T": T[1], "X": X[1], "apart": difference[1]},
        "second": {"T": T[2], "X": X[2], "apart": difference[2],
                   "predicted": _second_difference(alpha, c, a, b, start)},
        "says": _says_of_harmonic(soft) if isinstance(soft, TargetUpdate) else _says(alpha, c, a, b),
        "follows": schedule == "constant" and theory.one_dimension.follows_single(alpha, c, b),
        "python": two_networks_lines(alpha, c, a, b, start, steps, gamma if schedule == "harmonic" else None),
    }  # fmt: skip


def ledger(c: float, at: int) -> dict[str, Any]:
    """Return the share of each past step k that has arrived in T after `at` steps, 1 − c^{at−k}."""
    period = TargetUpdate.from_c(c).lag_matched_period()
    hard = theory.ledger_weights(theory.schedule(TargetUpdate.hard(period), at), at)
    return {
        "at": at, "k": np.arange(at), "share": theory.ledger_weights(c, at), "hard": hard, "hard_period": period,
        "says": _arrival(TargetUpdate.from_c(c).half_life), "python": ledger_lines(c, at),
    }  # fmt: skip


def _arrival(half_life: float) -> str:
    """Say when a step of Q has arrived in T."""
    what = "The share of each past step of Q that has arrived in T."
    if half_life == 0:
        return f"{what} Here every step arrives at once."
    return f"{what} Half of a step after {count(half_life)} steps, and all of it in the end: delayed, not shrunk."


def _second_difference(alpha: float, c: float, a: float, b: float, start: float) -> float:
    """Return T_2 − X_2 = α(1−c)·[c·s_0 + step(Q_1, T_1) − step(T_1, T_1)] from the theory."""
    return float(theory.first_difference(lambda q, t: a * t - b * q, alpha, c, start))


def _says_of_harmonic(update: TargetUpdate) -> str:
    """Say when T begins to slow down, in one sentence."""
    return (
        f"Here T slows down: 1 − c = {update.tau:.4g} until step {update.harmonic_steps / update.tau:.4g}, and"
        f" {update.harmonic_steps:.4g}/t after it."
    )


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
    horizon = max(3 * period, 12)
    age = np.union1d(np.linspace(1, horizon, AGES).astype(int), [max(1, period - 1), period])
    return {
        "omega": omega, "gain_db": 20 * np.log10(np.abs(response)),
        "cutoff": update.cutoff, "cutoff_db": 10 * np.log10(0.5),
        "half_life": update.half_life, "mean_lag": update.mean_lag, "noise_gain": update.noise_gain,
        "hard_period": period, "age": age, "soft": theory.step_response(c, horizon)[age - 1],
        "hard": (age >= period).astype(float), "python": filter_lines(c, horizon, AGES),
    }  # fmt: skip
