"""Sentences that every answer needs, whatever the verdicts: what is exact, who acts, how y moves, what an arm tests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from softstep.comparison.scores import by_agent
from softstep.comparison.target_moves import mean_move
from softstep.config import Config
from softstep.report.shared.curves import ArmSummary, arms_of, find_arm, summaries
from softstep.report.shared.formatting import format_result, format_setting, format_two_digits
from softstep.target import TargetUpdate

if TYPE_CHECKING:
    import polars as pl

QUESTION = "Soft update, or just a smaller step?"

STARVED = 1.0
"""Longest way of a weight, α times the number of gradient steps, that the answer points out."""


def exact_part(soft: ArmSummary | None) -> str:
    """Return what holds in any environment: T equals the smaller step after one update; later it lags behind Q."""
    if soft is None or soft.tau == 1 or soft.period != 1:
        return (
            "Exact: T starts as a copy of Q. If T is updated at every gradient step, then after the first update it"
            " equals a single network that steps at (1−c)α; from the second update on it does not. T spreads each step"
            " over time with weights (1−c)c^j. They sum to 1, so the total weight of the step in T is α, not (1−c)α."
        )
    target = TargetUpdate(soft.tau, soft.period)
    c, tau, alpha = format_setting(target.c), format_setting(soft.tau), format_setting(soft.learning_rate)
    return (
        "Exact: T starts as a copy of Q. After the first update T therefore equals a single network that steps at"
        f" (1−c)α = {format_setting(soft.tau * soft.learning_rate)}; from the second update on it does not. T spreads"
        f" each step over time with weights (1−c)c^j = {tau}·{c}^j. They sum to 1, so the total weight of the step in T"
        f" is α = {alpha}, not (1−c)α. The step is delayed, not shrunk: half of it has arrived after"
        f" {target.half_life:.0f} updates."
    )


def acting_part(config: Config) -> str:
    """Return which network acts, and which is scored."""
    if config.continuous:
        acts = "The actor acts, and is scored without its noise"
        if config.eval_network == "target":
            acts = "The actor acts; its target is scored"
        return (
            f"{acts}. Q and T are the critics and their targets: T only supplies the values y that the critics are"
            " fitted to."
        )
    if config.eval_network == "target":
        return "Agents act with Q while they train; their greedy returns are those of T, as eval_network says."
    return "Agents act with Q and are scored with Q; T only supplies the values y that Q is fitted to."


def moves_by_arm(curves: pl.DataFrame) -> tuple[dict[str, float], str]:
    """Return how far y moves per gradient step, by arm, and in which unit.

    The unit is the standard deviation of y if the run measured it, as in the claims; it is that of a return otherwise.
    """
    if "y_sd" in curves.columns:
        agents = by_agent(curves)
        logs = {
            arm: [math.log(move) for (name, _), rows in agents.items() if name == arm and (move := mean_move(rows)) > 0]
            for arm in arms_of(curves)
        }
        moves = {arm: math.exp(float(np.mean(values))) for arm, values in logs.items() if values}
        if moves:
            return moves, "standard deviations of y"
    drifts = {arm.arm: arm.y_drift[np.isfinite(arm.y_drift)] for arm in summaries(curves)}
    return {arm: float(values.mean()) for arm, values in drifts.items() if values.size}, "units of return"


def moves_part(curves: pl.DataFrame, means: dict[str, float]) -> str:
    """Return how far y moves under each arm, and what that does and does not explain.

    Args:
        curves: The run's table of curves.
        means: Mean return by arm.
    """
    moves, unit = moves_by_arm(curves)
    if len(moves) < 2:
        return ""
    listed = ", ".join(f"{format_two_digits(move)} ({arm})" for arm, move in moves.items())
    sentences = [f"Per gradient step the learning target y moved by, in {unit}: {listed}."]
    soft, same, smaller = (moves.get(arm, math.nan) for arm in ("soft", "same-alpha", "smaller-alpha"))
    if soft >= same:
        sentences.append("Against expectation, soft did not move y less than same-alpha.")
    if smaller < soft:
        worse = means.get("smaller-alpha", math.nan) < means.get("soft", math.nan)
        end = " and ends lower" if worse else ""
        sentences.append(
            f"A steady y is not what decides alone: smaller-alpha moves it {soft / smaller:.2g} times less than"
            f" soft{end}."
        )
    return " ".join(sentences)


def budget_part(curves: pl.DataFrame, config: Config) -> str:
    """Say how little smaller-alpha could move its weights at all, if that was little."""
    arm = find_arm(summaries(curves), "smaller-alpha")
    if arm is None or not config.optimizer.startswith("adam"):
        return ""
    steps = curves.filter(curves["arm"] == arm.arm)["gradient_steps"].max()
    way = arm.learning_rate * float(steps or 0)  # type: ignore[arg-type]
    if not way < STARVED:
        return ""
    return (
        "Adam moves a weight by about α per gradient step at most, so no weight of smaller-alpha moved by more than"
        f" about {format_result(way)} in the whole run: a small budget of steps is part of what that arm tests."
    )
