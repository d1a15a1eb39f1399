"""The founding question answered from verdicts: what is exact, what each claim's verdict is, what would settle it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from softstep.comparison.scores import ReturnCriteria, by_agent, values_of
from softstep.config import Config
from softstep.report.comparison.background import QUESTION, acting_part, budget_part, exact_part, moves_part
from softstep.report.comparison.verdict_text import (
    VerdictRow,
    finite,
    format_estimate,
    has_interval,
    interval,
    is_ratio,
)
from softstep.report.shared.curves import find_arm, summaries
from softstep.report.shared.formatting import format_result
from softstep.stats import paired_difference

if TYPE_CHECKING:
    import polars as pl

Scores = Mapping[str, Mapping[int, float]]
"""Returns by arm and seed."""

HEADLINE = "no-smaller-alpha-matches-soft"
"""The claim that answers the practical half of the question."""

TWO_SIDED = ("soft-equals-hard",)
"""Claims of equality, which an interval beyond either margin settles."""

_SHORT_ANSWERS: Mapping[str, str] = {
    "supported": "one network at the best α tried, the configured one or a smaller one, ended lower than {soft} by more"
    " than the margin",
    "refuted": "{soft} did not end above one network at the best α tried by the margin",
    "equivalent": "one network at the best α tried and {soft} ended with equivalent returns",
    "inconclusive": "it remains open whether a smaller step can reach the same returns",
}


def is_judged(verdicts: Sequence[VerdictRow]) -> bool:
    """Return whether there are measured claims and all of them have enough seeds for a verdict."""
    measured = list(filter(has_interval, verdicts))
    return bool(measured) and all(verdict["verdict"] != "exploratory" for verdict in measured)


def judged_answer(
    verdicts: Sequence[VerdictRow],
    scores: Scores,
    curves: pl.DataFrame,
    config: Config,
    fixed: ReturnCriteria,
) -> str:
    """Return paragraphs on judged claims, separated by empty lines: the answer first, then what it rests on.

    Args:
        verdicts: Entries of `verdict.json`.
        scores: Final greedy returns by arm and seed.
        curves: The run's table of curves.
        config: The run's configuration.
        fixed: The declared margin and floor.
    """
    measured = list(filter(has_interval, verdicts))
    headline = next((verdict for verdict in measured if verdict["claim"] == HEADLINE), None)
    seeds = max(len(by_seed) for by_seed in scores.values())
    returns = ", ".join(f"{arm} {_mean_sd(list(by_seed.values()))}" for arm, by_seed in scores.items())
    open_claims = [v for v in measured if v["verdict"] == "inconclusive" and not is_ratio(v)]
    means = {arm: float(np.mean(list(by_seed.values()))) for arm, by_seed in scores.items()}
    paragraphs = (
        [QUESTION, _short_answer(headline, config, fixed), _caution(scores, means)],
        [f"Measured on {config.env} with {seeds} seeds per arm (greedy return over the last tenth of the evaluations,"
         f" mean ± standard deviation; differences below {fixed.margin:g} do not matter): {returns}.",
         _kept(curves), _chance(scores, config), budget_part(curves, config)],
        [*map(_sentence, measured), *(_seeds_needed(verdict, fixed.margin) for verdict in open_claims)],
        [moves_part(curves, means)],
        [exact_part(find_arm(summaries(curves), "soft")), acting_part(config)],
    )  # fmt: skip
    joined = (" ".join(sentence for sentence in sentences if sentence) for sentences in paragraphs)
    return "\n\n".join(paragraph for paragraph in joined if paragraph)


def _short_answer(headline: VerdictRow | None, config: Config, fixed: ReturnCriteria) -> str:
    """Answer the practical half of the question in a sentence."""
    if headline is None:
        return "This run lacks best-alpha, so it does not ask whether some smaller α does as well as the soft update."
    first, second = headline["arms"]
    words = _SHORT_ANSWERS[str(headline["verdict"])].format(soft=first)
    return f"On {config.env} {words} ({first} − {second}: {format_estimate(headline)}, margin {fixed.margin:g})."


def _caution(scores: Scores, means: Mapping[str, float]) -> str:
    """Point out a tuned α that did no better than α itself, and give the comparison that this does not flatter."""
    if not means.get("best-alpha", math.inf) <= means.get("same-alpha", -math.inf):
        return ""
    soft = "best-soft" if "best-soft" in scores else "soft"
    if soft not in scores:
        return ""
    return (
        "The α that was best on the selection seeds did no better on these seeds than α itself. The cautious"
        f" comparison: {_difference(scores, soft, 'same-alpha')}."
    )


def _kept(curves: pl.DataFrame) -> str:
    """Compare soft with same-alpha at each seed's best evaluation, which does not count what was lost again."""
    best: dict[str, dict[int, float]] = {}
    for (arm, seed), agent in by_agent(curves).items():
        evaluated = values_of(agent, "eval_return")
        best.setdefault(arm, {})[seed] = float(np.nanmax(evaluated, initial=-math.inf))
    pair = [value for arm in ("soft", "same-alpha") for value in best.get(arm, {"": math.nan}).values()]
    if not np.isfinite(pair).all():
        return ""
    return (
        f"By each seed's best evaluation {_difference(best, 'soft', 'same-alpha')}: the final difference also counts"
        " what was reached and lost again."
    )


def _chance(scores: Scores, config: Config) -> str:
    """Return how far two arms of the same mathematics ended apart."""
    blended = next((agent for agent in config.agents() if agent.arm == "blended"), None)
    if blended is None or blended.target.period != 1 or not {"blended", "smaller-alpha"} <= scores.keys():
        return ""
    return (
        f"{_difference(scores, 'smaller-alpha', 'blended')}, although the two differ in rounding alone: so large are"
        " effects of chance here."
    )


def _difference(scores: Scores, first: str, second: str) -> str:
    """Return the mean difference of two arms over their common seeds, with its 95 % interval."""
    seeds = sorted(scores[first].keys() & scores[second].keys())
    a, b = (np.array([scores[arm][seed] for seed in seeds], float) for arm in (first, second))
    found = paired_difference(a, b)
    ends = f" [{format_result(found.low)}, {format_result(found.high)}]" if math.isfinite(found.low) else ""
    return f"{first} − {second} is {format_result(found.estimate)}{ends}"


def _mean_sd(values: Sequence[float]) -> str:
    sd = np.std(values, ddof=1) if len(values) > 1 else math.nan
    return f"{format_result(float(np.mean(values)))} ± {format_result(float(sd))}"


def _sentence(verdict: VerdictRow) -> str:
    """Return a claim's name, its verdict and its numbers."""
    first, second = verdict["arms"]
    pair = f"moves of y in its standard deviations, {first} / {second}" if is_ratio(verdict) else f"{first} − {second}"
    return f"{verdict['claim']}: {verdict['verdict']} ({pair}: {format_estimate(verdict)})."


def _seeds_needed(verdict: VerdictRow, margin: float) -> str:
    """Estimate how many seeds would move the interval to one side of the margin.

    The half-width of the interval shrinks with √n; estimate and spread are taken as they are.
    """
    low, high = interval(verdict)
    bounds = (margin, -margin) if verdict["claim"] in TWO_SIDED else (margin,)
    distance = min(abs(finite(verdict["estimate"]) - bound) for bound in bounds)
    needed = math.ceil(int(verdict["n"]) * ((high - low) / 2 / distance) ** 2) if distance > 0 else math.inf
    if needed > 100 * int(verdict["n"]):
        return f"More seeds are unlikely to settle {verdict['claim']}, because its estimate lies on the margin."
    return f"About {needed} seeds would settle {verdict['claim']} if the estimate and the spread stayed the same."
