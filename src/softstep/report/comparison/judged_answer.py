"""The founding question answered from verdicts: what is exact, what the claims came to, what would settle the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from softstep.comparison.scores import ReturnCriteria
from softstep.config import Config
from softstep.report.comparison.answer import exact
from softstep.report.comparison.verdicts import Verdict, estimate_text, finite, interval, is_ratio
from softstep.report.shared.curves import summaries
from softstep.report.terminal.tables import find, rounded

if TYPE_CHECKING:
    import polars as pl

HEADLINE = "no-smaller-alpha-matches-soft"
"""The claim that answers the question's practical half."""

TWO_SIDED = ("soft-equals-hard",)
"""Claims of equality: settled on either side of either margin."""

_SHORT: Mapping[str, str] = {
    "supported": "No smaller step we tried did in returns what the soft target did.",
    "refuted": "In returns a smaller step did as well, or better: its best α was not beaten by the soft target.",
    "equivalent": "In returns the best smaller step and the soft target were equivalent.",
    "inconclusive": "Whether a smaller step can do the same in returns stays open.",
}


def is_judged(verdicts: Sequence[Verdict]) -> bool:
    """Whether there were seeds enough for words on the claims with chance in them."""
    measured = _measured(verdicts)
    return bool(measured) and all(v["verdict"] != "exploratory" for v in measured)


def _measured(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The claims with chance in them: those that have an interval."""
    return [v for v in verdicts if math.isfinite(sum(interval(v)))]


def judged_answer(
    verdicts: Sequence[Verdict],
    scores: Mapping[str, Mapping[int, float]],
    curves: pl.DataFrame,
    config: Config,
    fixed: ReturnCriteria,
) -> str:
    """One paragraph on judged claims.

    verdicts: as in `verdict.json`. scores: every arm's final greedy returns by seed. fixed: margin and floor.
    """
    measured = _measured(verdicts)
    headline = next((v for v in measured if v["claim"] == HEADLINE), None)
    seeds = max(len(of) for of in scores.values())
    returns = ", ".join(f"{arm} {_spread(list(of.values()))}" for arm, of in scores.items())
    sentences = [
        "A soft update, or just a smaller step?",
        exact(find(summaries(curves), "soft")),
        _SHORT[str(headline["verdict"])] if headline else "",
        f"Measured on {config.env} with {seeds} seeds per arm (greedy return over the last tenth of the"
        f" evaluations, mean ± standard deviation; less than {fixed.margin:g} apart does not matter): {returns}.",
        *[_sentence(v) for v in measured],
        *[_to_settle(v, fixed.margin) for v in measured if v["verdict"] == "inconclusive" and not is_ratio(v)],
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _spread(values: Sequence[float]) -> str:
    sd = np.std(values, ddof=1) if len(values) > 1 else math.nan
    return f"{rounded(float(np.mean(values)))} ± {rounded(float(sd))}"


def _sentence(verdict: Verdict) -> str:
    """A claim's name, its numbers and its word."""
    first, second = verdict["arms"]
    sign = "/" if is_ratio(verdict) else "−"
    return f"{verdict['claim']}: {verdict['verdict']} ({first} {sign} {second}: {estimate_text(verdict)})."


def _to_settle(verdict: Verdict, margin: float) -> str:
    """How many seeds would bring the interval to one side of the margin, were estimate and spread to stay."""
    low, high = interval(verdict)
    bounds = (margin, -margin) if verdict["claim"] in TWO_SIDED else (margin,)
    distance = min(abs(finite(verdict["estimate"]) - bound) for bound in bounds)
    needed = math.ceil(int(verdict["n"]) * ((high - low) / 2 / distance) ** 2) if distance > 0 else math.inf
    if needed > 100 * int(verdict["n"]):
        return f"More seeds will hardly settle {verdict['claim']}: its estimate lies on the margin."
    return f"About {needed} seeds would settle {verdict['claim']}, were estimate and spread to stay as they are."
