"""Room 3: where two networks are stable: a map over (α, 1−c), its exact boundary, and one point in detail.

The problem is linear (`theory.LinearTD`), so growth per step is the spectral radius ρ of its iteration matrix. The map
depends on the problem alone and is cached. A point is an endpoint of its own, fast enough to follow a pointer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from softstep import theory
from softstep.explorer.rooms.boundary import EXACT, zero_lines
from softstep.explorer.rooms.parameters import BadParameter, OldWeight, Parameters, entries
from softstep.explorer.rooms.snippets import stability_lines
from softstep.explorer.rooms.words import count
from softstep.theory import problems, spectrum
from softstep.theory.checks import Array
from softstep.theory.linear import LinearTD

ALPHA_RANGE, SHARE_RANGE = (1e-3, 10.0), (1e-4, 1.0)
"""Ranges of the map: α from left to right, 1 − c from bottom to top."""
FAINT = 1e-4
"""Growth per step, ln ρ, that the colours just distinguish from zero."""
ESCAPED = 1e9
"""A trajectory is cut at the first step at which its length reaches this size."""
UNMOVED = 1e-12
"""Distance of ρ from 1 below which the error neither grows nor shrinks."""
FEWEST_STEPS, STEADY_STEPS, MOST_DOUBLINGS = 12, 150, 5
"""Steps of a trajectory: at least, without growth or decay, and how often their number is doubled."""
STATES, FEATURES = 8, 7
"""Largest size of a problem that the user enters."""

ProblemName = Literal[(*problems.NAMED, "own")]
Row = Annotated[tuple[Annotated[float, Meta(ge=-100.0, le=100.0)], ...], entries("numbers", FEATURES)]
Frequency = Annotated[float, Meta(ge=0.0, le=100.0)]
StochasticRow = Annotated[tuple[Annotated[float, Meta(ge=0.0, le=1.0)], ...], entries("numbers", STATES)]


class ProblemParameters(Parameters, frozen=True):
    """The parameters of `problem`."""

    problem: Annotated[ProblemName, Meta(description="a named problem, or own")] = "only_target"
    gamma: Annotated[float, Meta(ge=0.0, le=0.999, description="γ, the discount per step")] = 0.9
    phi: Annotated[
        tuple[Row, ...], entries("rows of numbers", STATES, "Φ, a row of features per state, used if problem is own")
    ] = ((1.0, 0.0), (2.0, 1.0))
    P: Annotated[
        tuple[StochasticRow, ...],
        entries("rows of numbers", STATES, "P, transition probabilities from each state; rows sum to 1"),
    ] = ((0.0, 1.0), (0.0, 1.0))
    d: Annotated[tuple[Frequency, ...], entries("numbers", STATES, "d, how often each state is updated")] = (0.5, 0.5)

    def __post_init__(self) -> None:
        for name in ("phi", "P"):
            lengths = set(map(len, getattr(self, name)))
            if len(lengths) > 1:
                raise BadParameter(name, f"rows have {min(lengths)} to {max(lengths)} numbers: make them equal")


PROBLEM = ProblemParameters.__struct_fields__
"""Names of the parameters that define a problem."""


class MapParameters(ProblemParameters, frozen=True):
    """The parameters of `stability-map`."""

    resolution: Annotated[int, Meta(ge=5, le=121, description="points along each side of the map")] = 101
    tolerance: Annotated[float, Meta(ge=EXACT, le=0.5, description="error of the boundary, per grid spacing")] = EXACT


class WindowParameters(ProblemParameters, frozen=True):
    """The parameters of `stability-windows`."""

    alpha: Annotated[float, Meta(ge=1e-4, le=100.0, description="α, the size of a gradient step")] = 0.1
    c: OldWeight = 0.9


class PointParameters(WindowParameters, frozen=True):
    """The parameters of `stability-point`."""

    steps: Annotated[int, Meta(ge=0, le=10**9, description=(
        "gradient steps of the trajectory; 0 draws three half-lives or doubling times of the error, more where needed"
    ))] = 0  # fmt: skip
    points: Annotated[int, Meta(ge=10, le=400, description="largest number of points of the trajectory")] = 200


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


def point(alpha: float, c: float, steps: int, points: int, **source: Any) -> dict[str, Any]:
    """Return ρ, the eigenvalues and the trajectories at one pair, beside the single network at (1−c)·α."""
    problem, small = _problem(source), theory.blended_alpha(alpha, c)
    pair, single = problem.iteration_matrix(alpha, c), np.eye(problem.size) + small * (problem.A - problem.B)
    rho, rho_single = problem.spectral_radius(alpha, c), problem.spectral_radius(small, 0.0)
    shown = _shown_steps(pair, rho, points) if steps == 0 else steps
    run, alone = theory.envelope(pair, shown, parts=2, points=points), theory.envelope(single, shown, points=points)
    distances = {name: _cut(path) for name, path in (("Q", run.size[0]), ("T", run.size[1]), ("X", alone.size[0]))}
    python = stability_lines(
        source, f"alpha, c = {alpha!r}, {c!r}", "rho = problem.spectral_radius(alpha, c)",
        f"run = theory.envelope(problem.iteration_matrix(alpha, c), {shown}, parts=2, points={points})",
        "eigenvalues = np.linalg.eigvals(problem.iteration_matrix(alpha, c)).astype(complex)",
        'numbers = {"rho": rho, "eigenvalues": eigenvalues, "t": run.start, "Q": run.size[0], "T": run.size[1]}',
    )  # fmt: skip
    return {
        "alpha": alpha, "c": c, "alpha_prime": small, "rho": rho, "rho_single": rho_single,
        "stable": bool(rho < 1), "shade": shade(rho), "eigenvalues": spectrum.eigenvalues(pair),
        "eigenvalues_single": spectrum.eigenvalues(single), "steps": shown, "stride": run.stride, "t": run.start,
        **distances, "trend": _trend(run, rho), "says": _says(rho, rho_single), "note": _note(run, rho, shown),
        "python": python,
    }  # fmt: skip


def _shown_steps(pair: Array, rho: float, points: int) -> int:
    """Return how many steps to draw so that the picture shows the growth or decay that the sentence names.

    Three half-lives or doubling times do, unless other parts of the error hide the trend; then the number is doubled
    until the error has halved from its peak, or doubled from its lowest point.

    Args:
        pair: The iteration matrix.
        rho: Its spectral radius.
        points: Points of the picture.
    """
    time = time_scale(rho)
    if not math.isfinite(time):
        return STEADY_STEPS
    steps = max(FEWEST_STEPS, math.ceil(3 * time))
    for _ in range(MOST_DOUBLINGS):
        distance = theory.envelope(pair, steps, parts=2, points=points).size[0]
        if distance[-1] <= distance.max() / 2 if rho < 1 else not distance[-1] < 2 * distance.min():
            break
        steps *= 2
    return steps


def time_scale(rho: float) -> float:
    """Return the steps in which an error that grows by ρ per step halves or doubles; infinite if it does neither."""
    if rho == 0:
        return 0.0
    return math.inf if abs(rho - 1) < UNMOVED else abs(math.log(2) / math.log(rho))


def _cut(distance: Array) -> Array:
    """Return the distance from the solution at each step; nan once the trajectory has escaped."""
    kept = distance.copy()
    kept[np.logical_or.accumulate(~(distance < ESCAPED))] = np.nan
    return kept


def _trend(run: theory.Envelope, rho: float) -> Array:
    """Return ρᵗ, scaled so that it touches the distance of Q in the second half of the run."""
    with np.errstate(all="ignore"):
        power = rho ** run.start.astype(float)
        later = (run.size[0] / power)[len(power) // 2 :]
        known = later[np.isfinite(later)]
        trend = power * (known.max() if known.size else 1.0)
    return np.where((trend > 0) & (trend < ESCAPED), trend, np.nan)


def _note(run: theory.Envelope, rho: float, steps: int) -> str:
    """Return the sentences under the trajectory's title."""
    sentences = ["Distance from the solution, starting with all parameters at 1."]
    time = time_scale(rho)
    if 0 < time < math.inf and steps >= time:
        name = "half-lives" if rho < 1 else "doubling times"
        sentences.append(f"The picture spans {float(f'{steps / time:.2g}'):g} {name} of the two networks' error.")
    if run.stride > 1:
        sentences.append(f"Each point is the largest distance within {count(run.stride)} steps.")
    return " ".join(sentences)


def _says(rho: float, rho_single: float) -> str:
    """Return the sentence beside the map."""
    return f"Two networks: the error {_in_words(rho)}. One network at (1−c)α: it {_in_words(rho_single)}."


def _in_words(rho: float) -> str:
    """Return the half-life or the doubling time of an error that grows by ρ per step."""
    steps = time_scale(rho)
    if math.isinf(steps):
        return "neither grows nor shrinks"
    if rho == 0:
        return "vanishes within a few steps"
    return f"{'halves' if rho < 1 else 'doubles'} every {count(steps)} steps"


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
