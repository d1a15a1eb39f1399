"""The section of a comparison's page on best checkpoints, judged on fresh episodes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import polars as pl

from softstep.comparison.best_checkpoints import fresh_differences, fresh_scores
from softstep.report.comparison.verdict_text import VerdictRow, format_estimate
from softstep.report.shared.formatting import MISSING, format_count, format_result
from softstep.report.shared.markup import badge, paragraph, section, table, wide
from softstep.report.shared.palette import ArmStyle
from softstep.runs.best_returns import BestReturns
from softstep.stats import mean_interval

TITLE = "Best checkpoints (secondary, not judged)"


def best_checkpoints_section(
    best: BestReturns | None,
    scores: pl.DataFrame,
    verdicts: Sequence[VerdictRow],
    floor: float,
    styles: Mapping[str, ArmStyle],
) -> str:
    """Return the section; empty if the run's best checkpoints have not been judged on fresh episodes.

    Args:
        best: What they earned.
        scores: The final return of every agent (`plotted_data.seed_scores`).
        verdicts: Entries of `verdict.json`.
        floor: The score of an agent without a best checkpoint; NaN leaves such agents out.
        styles: The styles of the arms.
    """
    if best is None:
        return ""
    fresh = fresh_scores(best, floor)
    rows = [
        [
            f"{badge(style)} {escape(arm)}",
            _mean(scores.filter(pl.col("arm") == arm)["final_return"].drop_nans().to_list()),
            _mean(list(fresh.get(arm, {}).values())),
            str(len(fresh.get(arm, {}))),
        ]
        for arm, style in styles.items()
    ]
    caption = (
        "What an agent is worth if the weights of its best evaluation are kept: their mean return on"
        f" {format_count(best.episodes, 'fresh episode')}, the same for all agents, which no evaluation in training has"
        " used. Means over seeds, with 95 % intervals (Student’s t). No claim is judged on these returns."
    )
    listed = table(["arm", "final return", "best checkpoint, fresh episodes", "seeds"], rows)
    return section(TITLE, paragraph(caption), listed, _differences(fresh, verdicts))


def _differences(fresh: Mapping[str, Mapping[int, float]], verdicts: Sequence[VerdictRow]) -> str:
    """Return the differences between the arms of each claim on returns, beside those on which it is judged."""
    judged = {str(verdict["claim"]): verdict for verdict in verdicts}
    rows = [
        [
            escape(each.claim),
            escape(" − ".join(each.arms)),
            escape(format_estimate(judged[each.claim])) if each.claim in judged else MISSING,
            _with_interval(*each.difference[:3]),
            str(each.difference.n),
        ]
        for each in fresh_differences(fresh)
    ]
    heads = [
        "claim", "difference", "final return (judged)", "best checkpoint (secondary, not judged)", "pairs of seeds",
    ]  # fmt: skip
    return wide(table(heads, rows)) if rows else ""


def _mean(values: Sequence[float]) -> str:
    """Return the mean of some seeds with its interval; – without any."""
    if not values:
        return MISSING
    return _with_interval(float(np.mean(values)), *mean_interval(np.array(values)))


def _with_interval(estimate: float, low: float, high: float) -> str:
    ends = f" [{format_result(low)}, {format_result(high)}]" if math.isfinite(low + high) else ""
    return f"{format_result(estimate)}{ends}"
