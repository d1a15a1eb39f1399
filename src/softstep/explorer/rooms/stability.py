"""Room 3: where two networks are stable: a map over (α, 1−c), its exact boundary, and one point in detail.

The problem is linear (`theory.LinearTD`), so growth per step is the spectral radius ρ of its iteration matrix. The map
depends on the problem alone and is cached. A point is an endpoint of its own, fast enough to follow a pointer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from softstep import theory
from softstep.explorer.rooms.boundary import EXACT, zero_lines
from softstep.explorer.rooms.parameters import BadParameter, Choice, Grid, Number, Row, Spec, Whole
from softstep.explorer.rooms.snippets import stability_lines
from softstep.theory import problems, spectrum
from softstep.theory.checks import Array
from softstep.theory.linear import LinearTD

ALPHA_RANGE, SHARE_RANGE = (1e-3, 10.0), (1e-4, 1.0)
"""Ranges of the map: α from left to right, 1 − c from bottom to top."""
FAINT = 1e-4
"""Growth per step, ln ρ, that the colours just distinguish from zero."""
ESCAPED = 1e9
"""A trajectory is cut at the first step at which its length reaches this size."""
STATES, FEATURES = 8, 7
"""Largest size of a problem that the user enters."""

PROBLEM: Mapping[str, Spec] = {
    "problem": Choice("a named problem, or own", "only_target", (*problems.NAMED, "own")),
    "gamma": Number("γ, the discount per step", 0.9, 0.0, 0.999),
    "phi": Grid("Φ, a row of features per state, where problem is own", ((1.0, 0.0), (2.0, 1.0)), STATES, FEATURES,
                -100.0, 100.0),
    "P": Grid("P, where each state leads to; rows sum to 1", ((0.0, 1.0), (0.0, 1.0)), STATES, STATES, 0.0, 1.0),
    "d": Row("d, how often each state is updated", (0.5, 0.5), STATES, 0.0, 100.0),
}  # fmt: skip
MAP: Mapping[str, Spec] = {
    **PROBLEM,
    "resolution": Whole("points along each side of the map", 101, 5, 121),
    "tolerance": Number(
        "how well the boundary is found, as a share of the distance between two points", EXACT, EXACT, 0.5
    ),
}
POINT: Mapping[str, Spec] = {
    **PROBLEM,
    "alpha": Number("α, the size of a gradient step", 0.1, 1e-4, 100.0),
    "c": Number("c, the share of the old target that is kept", 0.9, 0.0, 0.9999),
    "steps": Whole("gradient steps of the trajectory", 150, 1, 400),
}
WINDOWS: Mapping[str, Spec] = {**PROBLEM, "alpha": POINT["alpha"], "c": POINT["c"]}


@lru_cache(maxsize=64)
def linear_problem(problem: str, gamma: float, phi: Any, P: Any, d: Any) -> LinearTD:
    """Return the problem that the parameters name or define, on its row space.

    Args:
        problem: Name of a problem in `theory.problems`, or "own".
        gamma: γ, the discount per step.
        phi: Φ, one row of features per state; only for "own", like the rest.
        P: Transition probabilities, one row per state.
        d: How often each state is updated.

    Raises:
        BadParameter: Φ, P and d do not define a problem.
    """
    if problem != "own":
        named: LinearTD = getattr(problems, problem)(gamma)
        return named
    if not len(phi) == len(P) == len(d) == len(P[0]):
        sizes = f"Φ has {len(phi)} rows, P is {len(P)} × {len(P[0])}, d has {len(d)} entries"
        raise BadParameter("phi", f"{sizes}: give all three one entry per state")
    off = next((i for i, row in enumerate(P) if abs(sum(row) - 1) > 1e-9), None)
    if off is not None:
        raise BadParameter("P", f"row {off + 1} sums to {sum(P[off]):.6g}: make it sum to 1")
    if not any(d):
        raise BadParameter("d", "is all zeros: give at least one state a positive weight")
    if not any(weight and any(row) for weight, row in zip(d, phi, strict=True)):
        raise BadParameter("phi", "is zero for every state with d > 0: give at least one of them a nonzero feature")
    try:
        return LinearTD.from_mdp(phi, P, d, gamma).rowspace()
    except ValueError as error:
        raise BadParameter("phi", str(error)) from None


def _problem(source: Mapping[str, Any]) -> LinearTD:
    return linear_problem(*(source[name] for name in PROBLEM))


def describe_problem(**source: Any) -> dict[str, Any]:
    """Return Φ, P, d and γ of a problem, from which users can edit their own, and whether its two limits are stable."""
    problem = _problem(source)
    matrices = {name: source[name] for name in ("phi", "P", "d")}  # as the user entered them, not on the row space
    if source["problem"] != "own" and problem.mdp is not None:
        matrices = {name: getattr(problem.mdp, name) for name in matrices}
    lines = stability_lines(source, 'numbers = {"A": problem.A, "B": problem.B}')
    return {
        **matrices, "gamma": source["gamma"], "size": problem.size, "A": problem.A, "B": problem.B, **_limits(problem),
        "python": lines,
    }  # fmt: skip


def _limits(problem: LinearTD) -> dict[str, Any]:
    """Return whether both limits are stable, with a sentence; None if B does not allow them."""
    try:
        limits = problem.limits()
    except ValueError as error:
        return {"says": str(error), "small_steps_stable": None, "slow_target_stable": None}
    steps = "converge" if limits.small_steps_stable else "diverge"
    target = "converges" if limits.slow_target_stable else "diverges"
    return {
        "says": f"Without a target network, small steps {steps}. With a slow enough one, learning {target}.",
        "small_steps_stable": limits.small_steps_stable, "slow_target_stable": limits.slow_target_stable,
    }  # fmt: skip


# ---- the map ----


def growth_map(resolution: int, tolerance: float, **source: Any) -> dict[str, Any]:
    """Return ρ over α (columns) and 1 − c (rows), its colour values, and the exact boundary ρ = 1 as lines."""
    return _growth_map(resolution, tolerance, *(source[name] for name in PROBLEM))


@lru_cache(maxsize=32)
def _growth_map(resolution: int, tolerance: float, *definition: Any) -> dict[str, Any]:
    problem, source = linear_problem(*definition), dict(zip(PROBLEM, definition, strict=True))
    alpha, share = np.geomspace(*ALPHA_RANGE, resolution), np.geomspace(*SHARE_RANGE, resolution)
    excess = spectrum.growth(problem.A, problem.B, alpha[None, :], share[:, None])
    lines = zero_lines(lambda a, s: spectrum.growth(problem.A, problem.B, a, s), alpha, share, excess, tolerance)
    rho = 1 + excess
    grid = f"alpha, share = np.geomspace{(*ALPHA_RANGE, resolution)!r}, np.geomspace{(*SHARE_RANGE, resolution)!r}"
    python = stability_lines(source, grid, "rho = problem.spectral_radius(alpha[None, :], 1 - share[:, None])",
                             'numbers = {"alpha": alpha, "rho": rho}')  # fmt: skip
    return {
        "alpha": alpha, "share": share, "rho": rho, "shade": np.round(shade(rho), 4), "ticks": _ticks(),
        "boundary": [{"alpha": line[:, 0], "share": line[:, 1]} for line in lines], "python": python,
    }  # fmt: skip


def shade(rho: Any) -> Array:
    """Return the colour value of ρ in [−1, 1]: asinh(ln ρ / FAINT), scaled so that a growth of e per step gives 1."""
    with np.errstate(all="ignore"):
        return np.asarray(np.clip(np.arcsinh(np.log(np.asarray(rho)) / FAINT) / np.arcsinh(1 / FAINT), -1, 1))


def _ticks() -> dict[str, Any]:
    """Return the tick labels of the colour bar, with their colour values."""
    values = np.array([0.5, 0.9, 0.99, 0.999, 1.0, 1.001, 1.01, 1.1, 2.0])
    return {"shade": shade(values), "text": [f"{value:g}" for value in values]}


# ---- one point ----


def point(alpha: float, c: float, steps: int, **source: Any) -> dict[str, Any]:
    """Return ρ, the eigenvalues and the trajectories at one pair, beside the single network at (1−c)·α."""
    problem, small = _problem(source), theory.blended_alpha(alpha, c)
    pair, single = problem.iteration_matrix(alpha, c), np.eye(problem.size) + small * (problem.A - problem.B)
    rho, rho_single = problem.spectral_radius(alpha, c), problem.spectral_radius(small, 0.0)
    with np.errstate(all="ignore"):
        run = problem.simulate(alpha, c, steps)
        X = problem.simulate(small, 0.0, steps).Q
        distances = {name: _distance(path) for name, path in (("Q", run.Q), ("T", run.T), ("X", X))}
        trend = rho ** np.arange(steps + 1) * np.sqrt(problem.size)
    python = stability_lines(
        source, f"alpha, c = {alpha!r}, {c!r}", "rho = problem.spectral_radius(alpha, c)",
        f"run = problem.simulate(alpha, c, {steps})",
        "eigenvalues = np.linalg.eigvals(problem.iteration_matrix(alpha, c)).astype(complex)",
        'numbers = {"rho": rho, "eigenvalues": eigenvalues,',
        '           "Q": np.linalg.norm(run.Q, axis=1), "T": np.linalg.norm(run.T, axis=1)}',
    )  # fmt: skip
    return {
        "alpha": alpha, "c": c, "alpha_prime": small, "rho": rho, "rho_single": rho_single,
        "stable": bool(rho < 1), "shade": shade(rho),
        "eigenvalues": spectrum.eigenvalues(pair), "eigenvalues_single": spectrum.eigenvalues(single), **distances,
        "trend": np.where(trend < ESCAPED, trend, np.nan), "says": _says(rho, rho_single), "python": python,
    }  # fmt: skip


def _distance(path: Array) -> Array:
    """Return the distance from the solution at each step; nan once the trajectory has escaped."""
    distance = np.linalg.norm(path, axis=1)
    distance[np.logical_or.accumulate(~(distance < ESCAPED))] = np.nan
    return distance


def _says(rho: float, rho_single: float) -> str:
    """Return the sentence beside the map."""
    return f"Two networks: the error {_in_words(rho)}. One network at (1−c)α: it {_in_words(rho_single)}."


def _in_words(rho: float) -> str:
    """Return the half-life or the doubling time of an error that grows by ρ per step."""
    if abs(rho - 1) < 1e-12:
        return "neither grows nor shrinks"
    if rho == 0:
        return "vanishes within a few steps"
    steps = abs(np.log(2) / np.log(rho))
    count = (
        f"{steps:.3g}" if steps < 1000 else f"{float(f'{steps:.3g}'):,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    )
    return f"{'halves' if rho < 1 else 'doubles'} every {count} steps"


@lru_cache(maxsize=256)
def _stable_c(alpha: float, *definition: Any) -> Any:
    return linear_problem(*definition).stable_c(alpha)


@lru_cache(maxsize=256)
def _stable_alpha(c: float, *definition: Any) -> Any:
    return linear_problem(*definition).stable_alpha(c)


def windows(alpha: float, c: float, **source: Any) -> dict[str, Any]:
    """Return the exact stable intervals of c at this α, and of α at this c; an unbounded end is None."""
    definition = [source[name] for name in PROBLEM]
    _problem(source)  # reports an invalid problem under the right parameter
    try:
        of_c, of_alpha = _stable_c(alpha, *definition), _stable_alpha(c, *definition)
    except ValueError as error:
        raise BadParameter("phi", str(error)) from None
    python = stability_lines(source, f"stable_c = problem.stable_c({alpha!r})",
                             f"stable_alpha = problem.stable_alpha({c!r})",
                             'numbers = {"stable_c": stable_c, "stable_alpha": stable_alpha}')  # fmt: skip
    says = f"At this α: {_in_intervals('c', of_c, 1.0)}. At this c: {_in_intervals('α', of_alpha, np.inf)}."
    return {"stable_c": of_c, "stable_alpha": of_alpha, "says": says, "python": python}


def _in_intervals(name: str, intervals: Any, top: float) -> str:
    """Put stable intervals in words, for example "stable for c < 0.41 or c > 0.99"."""
    if not intervals:
        return f"no {name} is stable"
    if len(intervals) == 1 and tuple(intervals[0]) == (0.0, top):
        return f"every {name} is stable"
    parts = []
    for low, high in intervals:
        if low == 0:
            parts.append(f"{name} < {high:.6g}")
        else:
            parts.append(f"{name} > {low:.6g}" if high == top else f"{low:.6g} < {name} < {high:.6g}")
    return "stable for " + " or ".join(parts)
