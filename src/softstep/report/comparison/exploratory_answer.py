"""The founding question answered in one paragraph, from three arms: what is exact, what was measured, what is open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from softstep.config import Config
from softstep.report.shared.curves import ArmSummary, Contrast, contrast, summaries
from softstep.report.terminal.tables import find, number, plus_minus, rounded
from softstep.target import TargetUpdate

if TYPE_CHECKING:
    import polars as pl

MEASURES = {
    "eval_return": "greedy return at the end",
    "train_return": "return over the last 100 training episodes",
}
"""Fields in which arms are compared, the better one first."""


def answer(curves: pl.DataFrame, config: Config) -> str:
    """One paragraph that answers "soft update, or just a smaller step?"; exploratory, whatever the data say."""
    arms = summaries(curves)
    soft, smaller, same = (find(arms, name) for name in ("soft", "smaller-alpha", "same-alpha"))
    present = [arm for arm in (soft, smaller, same) if arm is not None]
    sentences = ["A soft update, or just a smaller step?", exact(soft)]
    if present:
        measure = _measure(present)
        sentences.append(_measured(present, measure, config))
        sentences += [_diverged(arm) for arm in present if arm.diverged.any()]
        sentences.append(_against_smaller(soft, smaller, measure))
        sentences.append(_against_same(soft, same, measure))
        sentences.append(_drift(soft, smaller, same))
        sentences.append(_open(min(len(arm.seeds) for arm in present)))
    else:
        sentences.append("This run has none of the arms soft, smaller-alpha and same-alpha: it measures nothing of it.")
    return " ".join(sentence for sentence in sentences if sentence)


def exact(soft: ArmSummary | None) -> str:
    """What holds whatever the environment: equal at the first update, delayed but not shrunk after it."""
    first = "Exactly: T starts as a copy of Q, so at its first update"
    if soft is None or soft.tau == 1 or soft.period != 1:
        return (
            f"{first} (every gradient step one) T equals a single network that steps at (1−c)α; from the second on"
            " it does not: T spreads each step over time with weights (1−c)c^j, which sum to 1, so the step's total"
            " weight in T is α, not (1−c)α."
        )
    target = TargetUpdate(soft.tau, soft.period)
    c, tau, alpha = number(target.c), number(soft.tau), number(soft.learning_rate)
    return (
        f"{first} T equals a single network that steps at (1−c)α = {number(soft.tau * soft.learning_rate)};"
        f" from the second on it does not. T spreads each step over time, with weights (1−c)c^j = {tau}·{c}^j, which"
        f" sum to 1: the step's total weight in T is α = {alpha}, not (1−c)α. It is delayed (half of it has arrived"
        f" after {target.half_life:.0f} updates), not shrunk."
    )


def _measure(arms: Sequence[ArmSummary]) -> str:
    """Greedy returns where every agent of every arm has one at the end, else training returns."""
    evaluated = all(np.isfinite(arm.eval_return).all() for arm in arms)
    return "eval_return" if evaluated else "train_return"


def _measured(arms: Sequence[ArmSummary], measure: str, config: Config) -> str:
    count = max(len(arm.seeds) for arm in arms)
    seeds = "one seed" if count == 1 else f"{count} seeds, mean ± standard deviation"
    returns = ", ".join(f"{arm.arm} {plus_minus(getattr(arm, measure))}" for arm in arms)
    returns = returns.replace("–", "none finished")
    text = f"Measured, exploratory, on {config.env} ({MEASURES[measure]}; {seeds}): {returns}."
    smaller, soft = find(list(arms), "smaller-alpha"), find(list(arms), "soft")
    if smaller and soft and not math.isclose(smaller.learning_rate, soft.tau * soft.learning_rate, rel_tol=1e-4):
        text += f" (smaller-alpha ran at {number(smaller.learning_rate)}, which is not (1−c)α.)"
    return text


def _diverged(arm: ArmSummary) -> str:
    count, seeds = int(arm.diverged.sum()), len(arm.seeds)
    return f"{count} of {seeds} {arm.arm} agents diverged; their returns are counted, not dropped."


def _against_smaller(soft: ArmSummary | None, smaller: ArmSummary | None, measure: str) -> str:
    if soft is None or smaller is None:
        return "Without both soft and smaller-alpha this run cannot say whether the smaller step does the same."
    return _against(
        contrast(soft, smaller, measure),
        "smaller-alpha",
        above="the smaller step did not do here what the soft target did",
        level="equal returns would not make them equal algorithms, but this run shows no other outcome",
        below="they differ, as they must, but here the smaller step was the better choice",
    )


def _against_same(soft: ArmSummary | None, same: ArmSummary | None, measure: str) -> str:
    if soft is None or same is None:
        return "Without both soft and same-alpha it cannot say what the target network was good for."
    return _against(
        contrast(soft, same, measure),
        "same-alpha, which keeps α and has no target network",
        above="at the same α the target network helped",
        level="that the target network helps the return is not shown here",
        below="at the same α the target network cost return",
    )


def _against(difference: Contrast, other: str, *, above: str, level: str, below: str) -> str:
    """What soft's difference to another arm says: a clear lead, a clear lag, or nothing."""
    if not difference.pairs:
        return f"soft and {other} cannot be compared: no seed has a return in both."
    size = f"{rounded(abs(difference.difference))} {'above' if difference.difference >= 0 else 'below'} {other}"
    if difference.pairs < 3:
        return f"soft ended {size}; but {_seeds(difference.pairs)} cannot tell that from chance."
    count = f"higher in {difference.higher} of {difference.pairs} seeds"
    if not difference.clear:
        return f"soft ended {size}, {count}, too little to tell from chance: {level}."
    if difference.difference > 0:
        return f"soft ended {size}, {count}: {above}."
    return f"Against expectation soft ended {size}, {count}: {below}."


def _drift(soft: ArmSummary | None, smaller: ArmSummary | None, same: ArmSummary | None) -> str:
    """How far y moves: what the soft target is for."""
    moved = {arm.arm: float(np.nanmean(arm.y_drift)) for arm in (soft, same, smaller) if arm and _any(arm.y_drift)}
    if len(moved) < 2:
        return ""
    numbers = ", ".join(f"{value:.2g} ({name})" for name, value in moved.items())
    text = f"The targets y moved per update by {numbers}"
    if "soft" in moved and "same-alpha" in moved:
        steady = moved["soft"] < moved["same-alpha"]
        text += ": the steadiness soft updates are for" if steady else ": not steadier under soft, against expectation"
    if moved.get("smaller-alpha", math.inf) < moved.get("soft", -math.inf):
        text += "; smaller-alpha keeps y still by taking small steps in everything"
    return text + "."


def _open(seeds: int) -> str:
    verb = "is" if seeds == 1 else "are"
    return f"Exploratory: {_seeds(seeds)} per arm {verb} too few for a verdict; the exact part needs none."


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"


def _any(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).any())
