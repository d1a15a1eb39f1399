"""A study with contenders as one HTML page that needs no network: answer, verdicts, contenders and candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import polars as pl

from softstep.report.comparison.background import acting_part
from softstep.report.comparison.figures import scores_figure
from softstep.report.comparison.plotted_data import threshold_of
from softstep.report.comparison.verdict_cards import verdict_cards
from softstep.report.shared.formatting import format_count, format_result, format_short, format_thousands
from softstep.report.shared.json_tables import as_columns, as_rows
from softstep.report.shared.markup import (
    answer_box,
    bullets,
    document,
    downloads,
    embedded_tables,
    folded,
    page_header,
    paragraph,
    plot,
    provenance,
    section,
    table,
    table_of_contents,
    wide,
)
from softstep.report.shared.palette import arm_styles
from softstep.report.study.answer import claim_sentence, verdict_rows
from softstep.report.study.best_checkpoints_section import best_checkpoints_section, fresh_text
from softstep.report.study.declaration_section import declaration_fact, declaration_section
from softstep.report.study.origins_section import adopted_fact, origins_section
from softstep.report.study.sections import Failures, failed_section
from softstep.studies.best_checkpoints import with_best_checkpoints
from softstep.studies.declared_study import Carried
from softstep.studies.judge import StudyVerdict, judge_study
from softstep.studies.metrics import METRICS
from softstep.studies.origins import Origin
from softstep.studies.spec import Spec
from softstep.studies.summaries import FRESH_COLUMNS, summarize_agents, summarize_candidates, summarize_contenders
from softstep.studies.winners import Winner

CONTENTS = {
    "contenders": "one row per contender: its winner’s settings, and every metric on the judging seeds",
    "candidates": "one row per candidate: its settings and its score on the selection seeds",
    "agents": "one row per agent: its metrics, when it solved the environment, whether it diverged",
    "verdicts": "the claims and their verdicts",
}
"""Tables that the page offers for download."""


def contenders_page(
    frame: pl.DataFrame,
    spec: Spec,
    winners: Sequence[Winner],
    versions: Mapping[str, Any],
    failures: Failures,
    declaration: Carried | None = None,
    best: pl.DataFrame | None = None,
    origins: Sequence[Origin] = (),
) -> str:
    """Return the complete page as HTML.

    Args:
        frame: The study's table.
        spec: Its specification.
        winners: The winners of its contenders; none if not all candidates are trained yet.
        versions: Versions by package.
        failures: Errors of the agents whose environments failed.
        declaration: What the study's folder says about its declaration.
        best: What best checkpoints earn on fresh episodes (`best_checkpoints.measured_best_returns`).
        origins: Where the agents of the table were trained.
    """
    agents = with_best_checkpoints(summarize_agents(frame, spec, threshold_of(spec.base.env)), best, spec)
    contenders, candidates = summarize_contenders(agents, spec, winners), summarize_candidates(spec, winners)
    judged = judge_study(agents, spec, winners)
    verdicts = verdict_rows(judged, spec)
    sections = "".join((
        section("Verdicts on the claims", verdict_cards(verdicts, spec.criteria.margin)) if verdicts else "",
        _contenders(contenders, spec),
        _returns(agents, spec, winners),
        best_checkpoints_section(_judging(agents, spec, winners), spec, judged),
        _candidates(candidates),
        failed_section(failures),
        declaration_section(declaration, spec),
        origins_section(agents, origins),
        _method(spec),
        downloads(CONTENTS),
        provenance("Spec", spec.to_json(), versions),
    ))  # fmt: skip
    short = answer_box(contenders_answer(contenders, judged, spec))
    content = _header(spec, declaration, adopted_fact(agents, origins)) + short + table_of_contents(sections) + sections
    tables = {
        "contenders": as_columns(contenders),
        "candidates": as_columns(candidates),
        "agents": as_columns(agents),
        "verdicts": as_rows(verdicts),
    }
    return document(f"softstep study: {spec.base.env}", content + embedded_tables(tables))


def _header(spec: Spec, declaration: Carried | None, adopted: str | None) -> str:
    count = spec.draw.count if spec.draw else 0
    facts = (
        spec.base.env,
        format_count(len(spec.contenders), "contender"),
        f"{format_count(count, 'candidate')} each",
        f"{format_count(spec.selection, 'seed')} to select, {len(spec.judging_seeds)} to judge",
        f"{format_thousands(spec.base.total_steps)} environment steps",
        *filter(None, [declaration_fact(declaration, spec), adopted]),
    )
    return page_header("The contenders", facts, "the text and tables")


def contenders_answer(contenders: pl.DataFrame, judged: Sequence[StudyVerdict], spec: Spec) -> list[str]:
    """Return paragraphs: the claims and the order of the contenders, then what was compared."""
    if not contenders.height:
        return ["Not all candidates are trained yet, so no contender has a winner and no claim is judged."]
    order = contenders.sort("mean", descending=True, nulls_last=True, maintain_order=True)
    listed = ", ".join(
        f"{row['contender']} {format_result(row['mean'])} [{format_result(row['low'])}, {format_result(row['high'])}]"
        for row in order.iter_rows(named=True)
    )
    title = METRICS[spec.metric].title
    ranking = f"{title[0].upper()}{title[1:]} on the judging seeds, with 95 % intervals: {listed}."
    compared = (
        f"Every contender had {format_count(spec.draw.count if spec.draw else 0, 'candidate')}, of which the best on"
        f" {format_count(spec.selection, 'seed')} was run on {len(spec.judging_seeds)} others."
    )
    return [" ".join(map(claim_sentence, judged)) or ranking, *([ranking] if judged else []),
            f"{compared} {acting_part(spec.base)}"]  # fmt: skip


def _contenders(contenders: pl.DataFrame, spec: Spec) -> str:
    if not contenders.height:
        return ""
    others = [name for name in METRICS if name != spec.metric]
    fresh = ["best checkpoint, fresh episodes"] if "fresh_return" in contenders.columns else []
    heads = [
        "contender", "winner’s settings", "on selection seeds", METRICS[spec.metric].title, "95 % interval", *fresh,
        *(METRICS[name].title for name in others), "diverged",
    ]  # fmt: skip
    rows = [
        [
            escape(row["contender"]), escape(row["settings"]), format_result(row["selection_score"]),
            format_result(row["mean"]), f"{format_result(row['low'])} to {format_result(row['high'])}",
            *(fresh_text(*(row[name] for name in FRESH_COLUMNS)) for _ in fresh),
            *(format_result(row[name]) for name in others), f"{row['diverged']} of {row['seeds']}",
        ]
        for row in contenders.iter_rows(named=True)
    ]  # fmt: skip
    caption = (
        "Means over the judging seeds. The score on the selection seeds is that of the best of several candidates,"
        " which biases it upwards."
    )
    return section("The contenders", paragraph(caption), wide(table(heads, rows)))


def _judging(agents: pl.DataFrame, spec: Spec, winners: Sequence[Winner]) -> pl.DataFrame:
    """Return the agents of the winners on the judging seeds."""
    cells = [winner.cell for winner in winners]
    return agents.filter(pl.col("cell").is_in(cells) & (pl.col("seed") >= spec.judging_seeds.start))


def _returns(agents: pl.DataFrame, spec: Spec, winners: Sequence[Winner]) -> str:
    names, judging = {winner.cell: winner.contender for winner in winners}, _judging(agents, spec, winners)
    if not judging.height:
        return ""
    scores = judging.select(
        arm=pl.col("cell").replace(names), seed="seed", final_return=spec.metric, diverged="diverged"
    )
    figure = scores_figure(scores, arm_styles(list(names.values())), METRICS[spec.metric].title)
    caption = "Every judging seed as a dot; mean and 95 % interval (Student’s t) as a diamond and bar."
    return section("Returns on the judging seeds", paragraph(caption), plot("returns", figure))


def _candidates(candidates: pl.DataFrame) -> str:
    if not candidates.height:
        return ""
    rows = [
        [
            escape(row["contender"]),
            str(row["candidate"]),
            format_result(row["selection_score"]),
            escape(row["settings"]),
        ]
        for row in candidates.iter_rows(named=True)
    ]
    listed = table(["contender", "candidate", "mean", "settings"], rows, css="worded")
    return section("The candidates", folded("All candidates with their means over the selection seeds", listed))


def _method(spec: Spec) -> str:
    metric = METRICS[spec.metric]
    rules = (
        f"The primary metric selects and judges: {metric.meaning}, {format_count(spec.base.eval_episodes, 'episode')}"
        f" per evaluation. A diverged agent scores {format_short(spec.criteria.floor)}; in metrics over several"
        " evaluations, every one after its divergence does.",
        "Candidates are points of a scrambled Halton sequence over a contender’s knobs, ranges on a logarithmic scale."
        " Contenders with the same range of α try the same α. Of equal candidates, the first wins.",
        f"Claims are part of the spec, which precedes the run. Differences are paired by seed; those below"
        f" {spec.criteria.margin:g} do not matter.",
    )
    return section("Method", bullets(rules))
