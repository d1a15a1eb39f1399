"""The answer for one pair (α, c), in words and numbers."""

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
    """The answer: text to read (lines separated by newlines) and the numbers in it by name."""

    text: str
    numbers: dict[str, Any]

    def __str__(self) -> str:
        return self.text


def explain(alpha: float, c: float, problem: LinearTD | str | None = None) -> Explanation:
    """What T ← c·T + (1−c)·Q at step size α means, when it is a smaller α and when not, and whether it is stable.

    problem: a `LinearTD`, the name of one of `theory.problems`, or None for one dimension (a = .99, b = 1) and a
    line on each named problem. Errors: ValueError where α ≤ 0, c is outside [0, 1), or the name is unknown.
    """
    alpha, c = float(check_alpha(alpha)), float(check_c(c))
    chosen = problems.by_name(problem) if isinstance(problem, str) else problem
    parts = [_meaning(alpha, c), _equality(alpha, c)]
    if chosen is None:
        parts += [_one_dimension(alpha, c, 0.99, 1.0), _named(alpha, c)]
    else:
        parts.append(_stability(alpha, c, chosen, problem if isinstance(problem, str) else "your problem"))
    numbers: dict[str, Any] = {}
    for _, values in parts:
        numbers |= values
    return Explanation("\n\n".join(text for text, _ in parts), numbers)


Part = tuple[str, dict[str, Any]]


def _meaning(alpha: float, c: float) -> Part:
    """The units of the pair."""
    update = TargetUpdate.from_c(c)
    numbers = {
        "alpha": alpha, "c": c, "tau": update.tau, "kappa": (1 - c) / alpha, "mean_lag": update.mean_lag,
        "half_life": update.half_life, "time_constant": update.time_constant, "cutoff": update.cutoff,
        "noise_gain": update.noise_gain, "hard_period": update.lag_matched_period(),
    }  # fmt: skip
    cutoff = "no frequency is halved" if update.cutoff is None else f"half power at {update.cutoff:.6g} rad per step"
    text = (
        f"α = {alpha:g}, c = {c:.12g} (τ = {update.tau:.6g}, κ = (1−c)/α = {numbers['kappa']:.6g})\n"
        "In gradient steps:\n"
        f"  the target is {update.mean_lag:.6g} steps behind on average; half of a change arrives within"
        f" {update.half_life:.6g}\n"
        f"  it passes {update.noise_gain:.6g} of white-noise variance; {cutoff}\n"
        f"  hard copies of the same lag: one every {numbers['hard_period']} steps (they remove no noise)"
    )
    return text, numbers


def _equality(alpha: float, c: float) -> Part:
    """When it is a smaller rate."""
    smaller = blended_alpha(alpha, c)
    weight = 1 - c
    text = (
        "Is it just a smaller step?\n"
        f"  one network blended with itself: yes, exactly α′ = (1−c)α = {smaller:.6g}\n"
        f"  target and Q-network: equal at the first update from equal starts, in general at no later one.\n"
        f"  Every step ends up in T with its whole weight α = {alpha:g}: {weight:.6g} of it at once, the rest later.\n"
        "  It delays, it does not shrink"
    )
    return text, {"blended_alpha": smaller, "weight_at_once": weight, "weight_in_the_end": 1.0}


def _one_dimension(alpha: float, c: float, a: float, b: float) -> Part:
    """Rate and noise in one dimension."""
    effective = one_dimension.effective_alpha(alpha, c, a, b)
    limit = one_dimension.alpha_max(c, a, b)
    numbers: dict[str, Any] = {"effective_alpha": effective, "alpha_max": limit}
    lines = [
        f"In one dimension (a = {a:g}, b = {b:g}):",
        f"  same rate as a single network at α′ = {effective:.9g}, where (1−c)α says {blended_alpha(alpha, c):.6g};"
        f" stable for α < {limit:.6g}",
    ]
    if alpha < limit and not np.isnan(effective):
        ratios = one_dimension.ratios(alpha, c, a, b)
        numbers |= {"variance_ratio_T": ratios.T, "variance_ratio_Q": ratios.Q}
        lines.append(f"  noise against that network: Var T × {ratios.T:.9g}, Var Q × {ratios.Q:.9g}")
    return "\n".join(lines), numbers


def _named(alpha: float, c: float) -> Part:
    """One line for each named problem."""
    lines, named = ["Is it stable? It depends on the problem, and a smaller α is not safer:"], {}
    for name in problems.NAMED:
        problem = problems.by_name(name)
        windows = problem.stable_c(alpha)
        radius, single = problem.spectral_radius(alpha, c), problem.spectral_radius(alpha, 0)
        named[name] = {"radius": radius, "radius_single": single, "stable_c": windows}
        lines.append(
            f"  {name:<16} with the target {_word(radius):<9} without {_word(single):<9} stable c: {intervals(windows)}"
        )
    return "\n".join(lines), {"named": named}


def _stability(alpha: float, c: float, problem: LinearTD, name: str) -> Part:
    """Growth, equal single network and windows on one problem."""
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
        f"  growth per step {radius:.12g}: {_word(radius)}; {equal}",
        f"  without a target {single:.12g} at α, {smaller:.12g} at (1−c)α",
        f"  stable at this α for c in {intervals(numbers['stable_c'])}; fastest c: {best}",
        f"  stable at this c for α in {intervals(numbers['stable_alpha'])}",
        f"  stable for small steps for κ in {intervals(numbers['stable_kappa'])}",
        *(f"  {sentence.strip()}" for sentence in limits.says.split("\n")),
    ]
    if scanned is not None:
        lines.append(f"  (windows found by scanning: one narrower than a factor {scanned:.3g} could be missed)")
    return "\n".join(lines), numbers


def intervals(windows: Windows) -> str:
    """Open intervals in words: `(0.862137092312, 1)`, several joined by "and", or "nowhere"."""
    return " and ".join(f"({low:.12g}, {high:.12g})" for low, high in windows) or "nowhere"


def _word(radius: float) -> str:
    return "converges" if radius < 1 else "diverges"
