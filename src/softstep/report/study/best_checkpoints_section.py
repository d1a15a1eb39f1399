"""The section of a study's page on best checkpoints, judged on fresh episodes beside the primary metric."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import polars as pl

from softstep.report.shared.formatting import MISSING, format_count, format_result
from softstep.report.shared.markup import paragraph, section, table, titled_plot, wide
from softstep.report.study import figures
from softstep.studies.best_checkpoints import best_checkpoint_differences
from softstep.studies.judge import StudyVerdict
from softstep.studies.metrics import METRICS
from softstep.studies.spec import Spec

TITLE = "Best checkpoints (secondary, not judged)"


def fresh_text(mean: float, low: float, high: float, count: int) -> str:
    """Return a mean over best checkpoints with its interval and the number of agents; – if none was played."""
    if not count:
        return MISSING
    interval = f" [{format_result(low)}, {format_result(high)}]" if count > 1 else ""
    return f"{format_result(mean)}{interval}"


def best_checkpoints_section(agents: pl.DataFrame, spec: Spec, judged: Sequence[StudyVerdict], *parts: str) -> str:
    """Return the section; empty if no best checkpoint of the study has been judged on fresh episodes.

    Args:
        agents: The table of `best_checkpoints.with_best_checkpoints`.
        spec: The study's specification.
        judged: The verdicts on its claims.
        *parts: A map or table of the means.
    """
    if "fresh_return" not in agents.columns:
        return ""
    episodes, known = int(agents["fresh_episodes"].max() or 0), agents["fresh_return"].drop_nulls().len()  # type: ignore[arg-type]
    caption = (
        "What an agent is worth if the weights of its best evaluation are kept: their mean return on"
        f" {format_count(episodes, 'fresh episode')}, the same for all agents, which no evaluation in training has"
        f" used. It has been measured for {format_count(known, 'agent')}. An agent without a best checkpoint counts"
        " with the floor. No claim is judged on these returns."
    )
    return section(TITLE, paragraph(caption), *parts, _differences(agents, spec, judged))


def _differences(agents: pl.DataFrame, spec: Spec, judged: Sequence[StudyVerdict]) -> str:
    """Return the differences between the sides of each claim, beside those on which the claim is judged."""
    differences = best_checkpoint_differences(agents, spec, judged)
    if not differences:
        return ""
    primary = {verdict.claim: verdict for verdict in judged}
    rows = [
        [
            escape(each.claim),
            escape(f"{each.first} − {each.second}"),
            _interval(primary[each.claim].estimate, primary[each.claim].low, primary[each.claim].high),
            _interval(each.estimate, each.low, each.high),
            str(each.n),
        ]
        for each in differences
    ]
    heads = [
        "claim", "difference", f"{METRICS[spec.metric].title} (judged)", "best checkpoint (secondary, not judged)",
        "pairs of seeds",
    ]  # fmt: skip
    caption = "Mean differences over judging seeds, in pairs of equal seeds, with 95 % intervals (Student’s t)."
    return paragraph(caption) + wide(table(heads, rows))


def _interval(estimate: float, low: float, high: float) -> str:
    return f"{format_result(estimate)} [{format_result(low)}, {format_result(high)}]"


def cells_map(cells: pl.DataFrame) -> str:
    """Return the map of the best checkpoints over log α and log lag."""
    title = "Mean return of the best checkpoint on fresh episodes"
    return wide(titled_plot(title, "map-best", figures.map_figure(cells, "fresh_return", "return")))


def cells_table(cells: pl.DataFrame) -> str:
    """Return a table with the final return of every cell and that of its best checkpoints."""
    rows = [
        [
            escape(row["cell"]),
            _interval(row["mean"], row["low"], row["high"]),
            fresh_text(row["fresh_return"], row["fresh_low"], row["fresh_high"], row["fresh_agents"]),
            f"{row['fresh_agents']} of {row['seeds']}",
        ]
        for row in cells.iter_rows(named=True)
    ]
    return wide(table(["cell", "final greedy return", "best checkpoint, fresh episodes", "agents"], rows))
