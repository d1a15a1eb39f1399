"""What a study found, in words: one paragraph, and its claims as verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from softstep.report.shared.formatting import format_count, format_result, format_setting, format_thousands, minus_sign
from softstep.studies.judge import StudyVerdict
from softstep.studies.predictor import Predictor
from softstep.studies.spec import Spec


def study_answer(
    cells: pl.DataFrame, judged: Sequence[StudyVerdict], predictors: Sequence[Predictor], spec: Spec
) -> str:
    """Return one paragraph: the best cell, the effect of a target, the best predictor, the claims.

    Args:
        cells: One row per cell, as `summaries.summarize_cells` returns them.
        judged: The claims with their verdicts.
        predictors: Numbers that predict the outcome, the best first.
        spec: The study's specification.
    """
    best = _best(cells)
    sentences = [
        f"The study has {format_count(cells.height, 'cell')} of (α, c) on {spec.base.env} with"
        f" {format_count(spec.seeds, 'seed')} each and {format_thousands(spec.base.total_steps)} environment steps per"
        " agent.",
        f"The highest mean return, {format_result(best['mean'])}, is at α = {best['alpha']:g}, c = {best['c']:g}. This"
        " cell was chosen after the run, which biases its mean upwards.",
    ]
    without, with_target = cells.filter(pl.col("c") == 0), cells.filter(pl.col("c") > 0)
    if without.height and with_target.height:
        alone, soft = _best(without), _best(with_target)
        sentences.append(
            f"Without a target network the highest mean is {format_result(alone['mean'])}, at α ="
            f" {format_setting(alone['alpha'])}; with one it is {format_result(soft['mean'])}."
        )
    sentences.append(f"{int(cells['diverged'].sum())} of {int(cells['seeds'].sum())} agents diverged.")
    if predictors:
        shares = ", ".join(f"{predictor.name} {minus_sign(f'{predictor.r2:.2f}')}" for predictor in predictors)
        sentences.append(
            "Each of these numbers predicts a share of the variance between rows and columns that were left out:"
            f" {shares}."
        )
    sentences += map(_claim_sentence, judged)
    return " ".join(sentences)


def _best(cells: pl.DataFrame) -> dict[str, Any]:
    """Return the cell with the highest mean return; of equals, the first."""
    return cells.sort("mean", descending=True, maintain_order=True).row(0, named=True)


def _claim_sentence(verdict: StudyVerdict) -> str:
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
            "estimand": f"mean difference of the final greedy return over judging seeds; margin"
            f" {spec.criteria.margin:g}; probability of improvement {v.improvement:.2f}",
            "estimate": v.estimate, "interval": [v.low, v.high], "p": v.p, "p_holm": v.p_holm, "verdict": v.verdict,
            "arms": [v.first, v.second], "n": v.n,
        }
        for v in judged
    ]  # fmt: skip
