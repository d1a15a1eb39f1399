"""The founding question answered from verdicts: what is exact, what each claim's verdict is, what would settle it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from softstep.comparison.scores import ReturnCriteria
from softstep.config import Config
from softstep.report.comparison.exploratory_answer import QUESTION, exact_part
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

if TYPE_CHECKING:
    import polars as pl

HEADLINE = "no-smaller-alpha-matches-soft"
"""The claim that answers the practical half of the question."""

TWO_SIDED = ("soft-equals-hard",)
"""Claims of equality, which an interval beyond either margin settles."""

_SHORT_ANSWERS: Mapping[str, str] = {
    "supported": "None of the smaller steps that were tried reached the returns of the soft target.",
    "refuted": "A smaller step did as well in returns: the soft target did not beat the best one by the margin.",
    "equivalent": "The best smaller step and the soft target reached equivalent returns.",
    "inconclusive": "Whether a smaller step can reach the same returns remains open.",
}


def is_judged(verdicts: Sequence[VerdictRow]) -> bool:
    """Return whether there are measured claims and all of them have enough seeds for a verdict."""
    measured = list(filter(has_interval, verdicts))
    return bool(measured) and all(verdict["verdict"] != "exploratory" for verdict in measured)


def judged_answer(
    verdicts: Sequence[VerdictRow],
    scores: Mapping[str, Mapping[int, float]],
    curves: pl.DataFrame,
    config: Config,
    fixed: ReturnCriteria,
) -> str:
    """Return one paragraph on judged claims.

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
    sentences = [
        QUESTION,
        exact_part(find_arm(summaries(curves), "soft")),
        _SHORT_ANSWERS[str(headline["verdict"])] if headline else "",
        f"Measured on {config.env} with {seeds} seeds per arm (greedy return over the last tenth of the evaluations,"
        f" mean ± standard deviation; differences below {fixed.margin:g} do not matter): {returns}.",
        *map(_sentence, measured),
        *(_seeds_needed(verdict, fixed.margin) for verdict in open_claims),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _mean_sd(values: Sequence[float]) -> str:
    sd = np.std(values, ddof=1) if len(values) > 1 else math.nan
    return f"{format_result(float(np.mean(values)))} ± {format_result(float(sd))}"


def _sentence(verdict: VerdictRow) -> str:
    """Return a claim's name, its verdict and its numbers."""
    first, second = verdict["arms"]
    sign = "/" if is_ratio(verdict) else "−"
    return f"{verdict['claim']}: {verdict['verdict']} ({first} {sign} {second}: {format_estimate(verdict)})."


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
