"""The founding question answered in one paragraph from up to three arms, without verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from softstep.comparison.judge import MIN_SEEDS
from softstep.config import Config
from softstep.report.shared.curves import ArmSummary, Contrast, contrast, find_arm, summaries
from softstep.report.shared.formatting import MISSING, format_count, format_mean_sd, format_result, format_setting
from softstep.target import TargetUpdate

if TYPE_CHECKING:
    import polars as pl

QUESTION = "Soft update, or just a smaller step?"

MEASURES = {
    "eval_return": "greedy return at the end",
    "train_return": "return over the last 100 training episodes",
}
"""Fields in which arms are compared, the preferred one first."""


def exploratory_answer(curves: pl.DataFrame, config: Config) -> str:
    """Return a paragraph on what is exact and what was measured; it is exploratory, whatever the data say."""
    arms = summaries(curves)
    soft, smaller, same = (find_arm(arms, name) for name in ("soft", "smaller-alpha", "same-alpha"))
    present = [arm for arm in (soft, smaller, same) if arm is not None]
    sentences = [QUESTION, exact_part(soft)]
    if present:
        measure = _measure(present)
        sentences.append(_returns(present, measure, config))
        sentences += [_diverged(arm) for arm in present if arm.diverged.any()]
        sentences.append(_against_smaller(soft, smaller, measure))
        sentences.append(_against_same(soft, same, measure))
        sentences.append(_drift(soft, smaller, same))
        sentences.append(_caveat(min(len(arm.seeds) for arm in present)))
    else:
        sentences.append(
            "This run has none of the arms soft, smaller-alpha and same-alpha, so it measures nothing about that."
        )
    return " ".join(sentence for sentence in sentences if sentence)


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


def _measure(arms: Sequence[ArmSummary]) -> str:
    """Choose greedy returns if every agent of every arm ends with one, otherwise training returns."""
    evaluated = all(np.isfinite(arm.eval_return).all() for arm in arms)
    return "eval_return" if evaluated else "train_return"


def _returns(arms: Sequence[ArmSummary], measure: str, config: Config) -> str:
    count = max(len(arm.seeds) for arm in arms)
    seeds = "1 seed" if count == 1 else f"mean ± standard deviation over {count} seeds"
    returns = ", ".join(f"{arm.arm} {format_mean_sd(getattr(arm, measure))}" for arm in arms)
    returns = returns.replace(MISSING, "none")
    text = f"Measured on {config.env} ({MEASURES[measure]}; {seeds}): {returns}."
    smaller, soft = find_arm(arms, "smaller-alpha"), find_arm(arms, "soft")
    if smaller and soft and not math.isclose(smaller.learning_rate, soft.tau * soft.learning_rate, rel_tol=1e-4):
        text += f" Note that smaller-alpha ran at {format_setting(smaller.learning_rate)}, which is not (1−c)α."
    return text


def _diverged(arm: ArmSummary) -> str:
    count, seeds = int(arm.diverged.sum()), len(arm.seeds)
    return f"{count} of {seeds} {arm.arm} agents diverged; their returns are included."


def _against_smaller(soft: ArmSummary | None, smaller: ArmSummary | None, measure: str) -> str:
    if soft is None or smaller is None:
        return "This run lacks soft or smaller-alpha, so it cannot show whether a smaller step does the same."
    return _against(
        contrast(soft, smaller, measure),
        "smaller-alpha",
        above="Here the smaller step did not do what the soft target did.",
        level="Equal returns would not make the algorithms equal, but this run shows no difference in returns.",
        below="The algorithms differ, as they must, but here the smaller step was the better choice.",
    )


def _against_same(soft: ArmSummary | None, same: ArmSummary | None, measure: str) -> str:
    if soft is None or same is None:
        return "This run lacks soft or same-alpha, so it cannot show what the target network is good for."
    return _against(
        contrast(soft, same, measure),
        "same-alpha (the same α without a target network)",
        above="At the same α, the target network helped.",
        level="This run does not show that the target network raises the return.",
        below="At the same α, the target network lowered the return.",
    )


def _against(difference: Contrast, other: str, *, above: str, level: str, below: str) -> str:
    """Return the difference between soft and another arm, and its meaning.

    Args:
        difference: Soft − the other arm.
        other: The other arm, in words.
        above: Meaning of a clear lead of soft.
        level: Meaning of a difference that is not clear.
        below: Meaning of a clear lead of the other arm.
    """
    if not difference.pairs:
        return f"soft and {other} cannot be compared: no seed has a return in both arms."
    side = "above" if difference.difference >= 0 else "below"
    ended = f"soft ended {format_result(abs(difference.difference))} {side} {other}"
    if difference.pairs < 3:
        return f"{ended}, but {format_count(difference.pairs, 'seed')} cannot distinguish that from chance."
    ended += f" and was higher in {difference.higher} of {difference.pairs} seeds"
    if not difference.clear:
        return f"{ended}, which may be chance. {level}"
    return f"{ended}. {above}" if difference.difference > 0 else f"Against expectation, {ended}. {below}"


def _drift(soft: ArmSummary | None, smaller: ArmSummary | None, same: ArmSummary | None) -> str:
    """Return how far y moves under each arm, and whether soft keeps it steady."""
    moves = {
        arm.arm: float(np.nanmean(arm.y_drift))
        for arm in (soft, same, smaller)
        if arm is not None and np.isfinite(arm.y_drift).any()
    }
    if len(moves) < 2:
        return ""
    listed = ", ".join(f"{value:.2g} ({name})" for name, value in moves.items())
    sentences = [f"Per update, the learning target y moved by {listed}."]
    if "soft" in moves and "same-alpha" in moves:
        steady = moves["soft"] < moves["same-alpha"]
        sentences.append(
            "This steadiness is what soft updates are for." if steady else "Against expectation, soft was not steadier."
        )
    if moves.get("smaller-alpha", math.inf) < moves.get("soft", -math.inf):
        sentences.append("Under smaller-alpha y moves even less, because that arm takes small steps in everything.")
    return " ".join(sentences)


def _caveat(seeds: int) -> str:
    return (
        f"These comparisons are exploratory: they have {format_count(seeds, 'seed')} per arm, and a verdict needs at"
        f" least {MIN_SEEDS}. The exact part needs none."
    )
