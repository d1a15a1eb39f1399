"""What a study found, in words, and its claims as verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from softstep.report.comparison.background import acting_part
from softstep.report.shared.formatting import (
    MISSING,
    format_count,
    format_result,
    format_setting,
    format_thousands,
    minus_sign,
)
from softstep.studies.judge import StudyVerdict
from softstep.studies.metrics import METRICS
from softstep.studies.predictor import Predictor
from softstep.studies.spec import Spec


def study_answer(
    cells: pl.DataFrame, judged: Sequence[StudyVerdict], predictors: Sequence[Predictor], spec: Spec
) -> str:
    """Return paragraphs, separated by empty lines: what a target changes, the claims, and what predicts the outcome.

    Args:
        cells: One row per cell, as `summaries.summarize_cells` returns them.
        judged: The claims with their verdicts.
        predictors: Numbers that predict the outcome, the best first.
        spec: The study's specification.
    """
    seeds, steps = format_count(spec.seeds, "seed"), format_thousands(spec.base.total_steps)
    cells_text = format_count(cells.height, "cell")
    paragraphs = (
        [*map(claim_sentence, judged), *_best_cells(cells)],
        [f"The study has {cells_text} of (α, c) on {spec.base.env} with {seeds} each and {steps} environment steps per"
         f" agent. {int(cells['diverged'].sum())} of {int(cells['seeds'].sum())} agents diverged.",
         acting_part(spec.base)],
        _predictor_sentences(predictors),
    )  # fmt: skip
    return "\n\n".join(" ".join(sentences) for sentences in paragraphs if sentences)


def _best_cells(cells: pl.DataFrame) -> list[str]:
    """Return the best cell without a target and with one, and how they were chosen."""
    without, with_target = cells.filter(pl.col("c") == 0), cells.filter(pl.col("c") > 0)
    bias = "chosen after the run, which biases its mean upwards"
    if not (without.height and with_target.height):
        return [f"The highest mean return is {_cell(_best(cells))}, {bias}."]
    return [
        f"Without a target network the highest mean return is {_cell(_best(without))}, the best of"
        f" {format_count(without.height, 'cell')}; with one it is {_cell(_best(with_target))}, the best of"
        f" {with_target.height}. Each was {bias}, the more so the more cells there"
        " are."
    ]


def _cell(best: dict[str, Any]) -> str:
    return f"{format_result(best['mean'])}, at α = {format_setting(best['alpha'])}, c = {format_setting(best['c'])}"


def _predictor_sentences(predictors: Sequence[Predictor]) -> list[str]:
    if not predictors:
        return []
    shares = ", ".join(f"{p.name} {_share(p.r2)}{_reproducible(p)}" for p in predictors)
    return [
        f"Each of these numbers predicts a share of the variance between rows and columns that were left out: {shares}."
        " In brackets: the share of the variance that is not the seeds’ noise, with its 95 % interval."
        " The shares depend on the range of returns: where a few cells end far below the rest, they count most."
    ]


def _share(share: float) -> str:
    return minus_sign(f"{share:.2f}") if math.isfinite(share) else MISSING


def _reproducible(predictor: Predictor) -> str:
    if not math.isfinite(predictor.reproducible):
        return ""
    share, low, high = map(_share, (predictor.reproducible, predictor.low, predictor.high))
    return f" ({share} [{low}, {high}])"


def _best(cells: pl.DataFrame) -> dict[str, Any]:
    """Return the cell with the highest mean return; of equals, the first."""
    return cells.sort("mean", descending=True, maintain_order=True).row(0, named=True)


def claim_sentence(verdict: StudyVerdict) -> str:
    """Return a claim's verdict with the difference and its interval."""
    estimate, low, high = map(format_result, (verdict.estimate, verdict.low, verdict.high))
    return (
        f"{verdict.claim}: {verdict.verdict} ({verdict.first} − {verdict.second}: {estimate} [{low}, {high}],"
        f" {format_count(verdict.n, 'seed')})."
    )


def verdict_rows(judged: Sequence[StudyVerdict], spec: Spec) -> list[dict[str, Any]]:
    """Return the claims in the shape of a comparison's `verdict.json`."""
    return [
        {
            "claim": v.claim, "statement": f"{v.claim}: {v.first} ends above {v.second}.",
            "estimand": f"mean difference of the {METRICS[spec.metric].title} over judging seeds; margin"
            f" {spec.criteria.margin:g}; probability of improvement {v.improvement:.2f}",
            "estimate": v.estimate, "interval": [v.low, v.high], "p": v.p, "p_holm": v.p_holm, "verdict": v.verdict,
            "arms": [v.first, v.second], "n": v.n,
        }
        for v in judged
    ]  # fmt: skip
