"""What one pair (α, c) means, as text and numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from softstep.target import TargetUpdate
from softstep.theory import one_dimension, problems
from softstep.theory.averaging import blended_alpha
from softstep.theory.checks import check_alpha, check_c
from softstep.theory.linear import LinearTD
from softstep.theory.windows import Windows


class Explanation(NamedTuple):
    """An explanation of a pair: the text, lines separated by newlines, and the numbers in it by name."""

    text: str
    numbers: dict[str, Any]

    def __str__(self) -> str:
        return self.text


def explain(alpha: float, c: float, problem: LinearTD | str | None = None) -> Explanation:
    """Explain what T ← c·T + (1−c)·Q at step size α means, when it equals a smaller α, and whether it is stable.

    `problem` is a `LinearTD`, the name of one of `theory.problems`, or None. With None the explanation covers one
    dimension (a = .99, b = 1) and has a line on each named problem.
    Raises ValueError if α ≤ 0, c is outside [0, 1), or the name is unknown.
    """
    alpha, c = float(check_alpha(alpha)), float(check_c(c))
    chosen = problems.by_name(problem) if isinstance(problem, str) else problem
    sections = [_units(alpha, c), _smaller_step(alpha, c)]
    if chosen is None:
        sections += [_one_dimension(alpha, c, 0.99, 1.0), _named_problems(alpha, c)]
    else:
        sections.append(_stability(alpha, c, chosen, problem if isinstance(problem, str) else "your problem"))
    numbers: dict[str, Any] = {}
    for _, values in sections:
        numbers |= values
    return Explanation("\n\n".join(text for text, _ in sections), numbers)


Section = tuple[str, dict[str, Any]]
"""Text of one section and the numbers in it by name."""


def _units(alpha: float, c: float) -> Section:
    """Give the pair in all its units."""
    update = TargetUpdate.from_c(c)
    numbers = {
        "alpha": alpha, "c": c, "tau": update.tau, "kappa": (1 - c) / alpha, "mean_lag": update.mean_lag,
        "half_life": update.half_life, "time_constant": update.time_constant, "cutoff": update.cutoff,
        "noise_gain": update.noise_gain, "hard_period": update.lag_matched_period(),
    }  # fmt: skip
    cutoff = (
        "every frequency keeps more than half its power"
        if update.cutoff is None
        else f"half power at {update.cutoff:.6g} rad per step"
    )
    text = (
        f"α = {alpha:g}, c = {c:.12g} (τ = {update.tau:.6g}, κ = (1−c)/α = {numbers['kappa']:.6g})\n"
        "In gradient steps:\n"
        f"  the target is {update.mean_lag:.6g} steps behind on average; half of a change arrives within"
        f" {update.half_life:.6g}\n"
        f"  it passes {update.noise_gain:.6g} of white-noise variance; {cutoff}\n"
        f"  hard copies with the same lag: one every {numbers['hard_period']} steps (they do not reduce noise)"
    )
    return text, numbers


def _smaller_step(alpha: float, c: float) -> Section:
    """Say when the pair equals a smaller rate."""
    smaller = blended_alpha(alpha, c)
    weight = 1 - c
    text = (
        "Is it just a smaller step?\n"
        f"  one network blended with itself: yes, exactly α′ = (1−c)α = {smaller:.6g}\n"
        f"  target and Q-network: only at the first update from equal starts, in general not later.\n"
        f"  Every step ends up in T with its whole weight α = {alpha:g}: {weight:.6g} of it at once, the rest later.\n"
        "  The target delays steps; it does not shrink them"
    )
    return text, {"blended_alpha": smaller, "weight_at_once": weight, "weight_in_the_end": 1.0}


def _one_dimension(alpha: float, c: float, a: float, b: float) -> Section:
    """Compare rate and noise with those of a single network in one dimension.

    Args:
        alpha: size of a gradient step.
        c: weight of the old target.
        a: coefficient of the target in the TD step.
        b: coefficient of the online parameter in the TD step.
    """
    effective = one_dimension.effective_alpha(alpha, c, a, b)
    limit = one_dimension.alpha_max(c, a, b)
    numbers: dict[str, Any] = {"effective_alpha": effective, "alpha_max": limit}
    lines = [
        f"In one dimension (a = {a:g}, b = {b:g}):",
        f"  same rate as a single network at α′ = {effective:.9g}, whereas (1−c)α = {blended_alpha(alpha, c):.6g};"
        f" stable for α < {limit:.6g}",
    ]
    if alpha < limit and not np.isnan(effective):
        ratios = one_dimension.ratios(alpha, c, a, b)
        numbers |= {"variance_ratio_T": ratios.T, "variance_ratio_Q": ratios.Q}
        lines.append(f"  noise against that network: Var T × {ratios.T:.9g}, Var Q × {ratios.Q:.9g}")
    return "\n".join(lines), numbers


def _named_problems(alpha: float, c: float) -> Section:
    """Write one line on each named problem."""
    lines, named = ["Is it stable? That depends on the problem, and a smaller α is not safer:"], {}
    for name in problems.NAMED:
        problem = problems.by_name(name)
        windows = problem.stable_c(alpha)
        radius, single = problem.spectral_radius(alpha, c), problem.spectral_radius(alpha, 0)
        named[name] = {"radius": radius, "radius_single": single, "stable_c": windows}
        lines.append(
            f"  {name:<16} with the target {_outcome(radius):<9} without {_outcome(single):<9}"
            f" stable c: {format_windows(windows)}"
        )
    return "\n".join(lines), {"named": named}


def _stability(alpha: float, c: float, problem: LinearTD, name: str) -> Section:
    """Report growth, equivalent single network and stability windows on one problem.

    Args:
        alpha: size of a gradient step.
        c: weight of the old target.
        problem: the linear problem.
        name: what to call it in the text.
    """
    radius, single = problem.spectral_radius(alpha, c), problem.spectral_radius(alpha, 0)
    smaller = problem.spectral_radius(blended_alpha(alpha, c), 0)
    effective, limits = problem.effective_alpha(alpha, c), problem.limits()
    numbers = {
        "radius": radius, "radius_single": single, "radius_blended": smaller, "effective_alpha": effective,
        "stable_c": problem.stable_c(alpha), "stable_alpha": problem.stable_alpha(c),
        "stable_kappa": problem.stable_kappa(), "best_c": problem.best_c(alpha), "limits": limits,
    }  # fmt: skip
    equal = "no single network has this rate" if np.isnan(effective) else f"as a single network at α′ = {effective:.9g}"
    best = "none" if np.isnan(numbers["best_c"]) else f"{numbers['best_c']:.9g}"
    scanned = numbers["stable_c"].resolution
    lines = [
        f"On {name} ({problem.size} feature{'s' if problem.size > 1 else ''}):",
        f"  growth per step {radius:.12g}: {_outcome(radius)}; {equal}",
        f"  without a target {single:.12g} at α, {smaller:.12g} at (1−c)α",
        f"  stable at this α for c in {format_windows(numbers['stable_c'])}; fastest c: {best}",
        f"  stable at this c for α in {format_windows(numbers['stable_alpha'])}",
        f"  stable for small steps for κ in {format_windows(numbers['stable_kappa'])}",
        *(f"  {sentence.strip()}" for sentence in limits.says.split("\n")),
    ]
    if scanned is not None:
        lines.append(f"  (windows found by scanning: any narrower than a factor {scanned:.3g} could be missed)")
    return "\n".join(lines), numbers


def format_windows(windows: Windows) -> str:
    """Format open intervals: `(0.862137092312, 1)`, several joined by "and", or "nowhere"."""
    return " and ".join(f"({low:.12g}, {high:.12g})" for low, high in windows) or "nowhere"


def _outcome(radius: float) -> str:
    return "converges" if radius < 1 else "diverges"
