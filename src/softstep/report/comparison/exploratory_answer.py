"""The founding question answered from the curves, without verdicts: every arm, exploratory whatever the data say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from softstep.comparison.judge import MIN_SEEDS
from softstep.config import Config
from softstep.report.comparison.background import QUESTION, acting_part, budget_part, exact_part, moves_part
from softstep.report.shared.curves import ArmSummary, Contrast, contrast, find_arm, mean_sd, summaries
from softstep.report.shared.formatting import MISSING, format_count, format_mean_sd, format_result, format_setting

if TYPE_CHECKING:
    import polars as pl

MEASURES = {
    "eval_return": "greedy return at the end",
    "train_return": "return over the last 100 training episodes",
}
"""Fields in which arms are compared, the preferred one first."""

REMARKS = {
    "smaller-alpha": (
        "Here the smaller step did not do what the soft target did.",
        "Equal returns would not make the algorithms equal, but this run shows no difference in returns.",
        "The algorithms differ, as they must, but here the smaller step was the better choice.",
    ),
    "same-alpha": (
        "At the same α, this run ended higher with the target network.",
        "This run does not show that the target network raises the return.",
        "At the same α, this run ended lower with the target network.",
    ),
}
"""What a clear lead of soft, no clear difference, and a clear lead of the other arm mean, by the other arm."""


def exploratory_answer(curves: pl.DataFrame, config: Config) -> str:
    """Return paragraphs, separated by empty lines: the differences first, then the returns, y, and what is exact."""
    arms = summaries(curves)
    measure = _measure(arms)
    means = {arm.arm: mean_sd(getattr(arm, measure))[0] for arm in arms}
    differences = (_against(first, second, measure) for first, second in _pairs(arms))
    paragraphs = (
        [QUESTION, _status(arms), *differences, _lacking(arms)],
        [_returns(arms, measure, config), *(_diverged(arm) for arm in arms if arm.diverged.any()),
         budget_part(curves, config)],
        [moves_part(curves, means)],
        [exact_part(find_arm(arms, "soft")), acting_part(config)],
    )  # fmt: skip
    joined = (" ".join(sentence for sentence in sentences if sentence) for sentences in paragraphs)
    return "\n\n".join(paragraph for paragraph in joined if paragraph)


def _status(arms: Sequence[ArmSummary]) -> str:
    seeds = min(len(arm.seeds) for arm in arms)
    return (
        f"No verdict, because a verdict needs at least {MIN_SEEDS} seeds per arm and this run has"
        f" {seeds}: these comparisons are exploratory."
        if seeds < MIN_SEEDS
        else "No verdict, because no claim could be judged: these comparisons are exploratory."
    )


def _pairs(arms: Sequence[ArmSummary]) -> list[tuple[ArmSummary, ArmSummary]]:
    """Return the comparisons to report: a soft arm with every other arm, the tuned ones with each other."""
    soft, best_soft = find_arm(arms, "soft"), find_arm(arms, "best-soft")
    reference = soft or best_soft
    if reference is None:
        return []
    others = [arm for arm in arms if arm is not reference]
    return [(best_soft if arm.arm == "best-alpha" and best_soft else reference, arm) for arm in others]


def _lacking(arms: Sequence[ArmSummary]) -> str:
    """Say which half of the question a run without some arm leaves open."""
    names = {arm.arm for arm in arms}
    if not names & {"soft", "best-soft"}:
        return "This run lacks an arm with a soft update, so it cannot compare one with anything."
    if not names & {"smaller-alpha", "best-alpha"}:
        return "This run lacks smaller-alpha and best-alpha, so it cannot show whether a smaller step does the same."
    if not names & {"same-alpha", "best-alpha"}:
        return "This run lacks same-alpha, so it cannot show what the target network contributes."
    return ""


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


def _against(first: ArmSummary, second: ArmSummary, measure: str) -> str:
    """Return the difference between two arms, and its meaning for the question if the first is soft."""
    difference = contrast(first, second, measure)
    if not difference.pairs:
        return f"{first.arm} and {second.arm} cannot be compared: no seed has a return in both arms."
    side = "above" if difference.difference >= 0 else "below"
    ended = f"{first.arm} ended {format_result(abs(difference.difference))} {side} {second.arm}"
    if difference.pairs < 3:
        return f"{ended}, but {format_count(difference.pairs, 'seed')} cannot distinguish that from chance."
    ended += f" and was higher in {difference.higher} of {difference.pairs} seeds"
    above, level, below = REMARKS.get(second.arm, ("", "", "")) if first.arm == "soft" else ("", "", "")
    return _read(difference, ended, above, level, below).strip()


def _read(difference: Contrast, ended: str, above: str, level: str, below: str) -> str:
    """Add to what was measured whether it may be chance, and the remark that fits.

    Args:
        difference: First − second.
        ended: What was measured.
        above: Remark on a clear lead of the first.
        level: Remark on a difference that is not clear.
        below: Remark on a clear lead of the second.
    """
    if not difference.clear:
        return f"{ended}, which may be chance. {level}"
    against = "Against expectation, " if difference.difference < 0 and below else ""
    return f"{against}{ended}. {above if difference.difference > 0 else below}"
