"""A study as one HTML page that needs no network: answer, verdicts, maps, predictors, and all tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from softstep import files
from softstep.report.comparison.plotted_data import threshold_of
from softstep.report.comparison.verdict_cards import verdict_cards
from softstep.report.shared.formatting import MISSING, format_count, format_short, format_thousands, minus_sign
from softstep.report.shared.json_tables import as_columns, as_rows
from softstep.report.shared.markup import (
    answer_box,
    bullets,
    document,
    downloads,
    embedded_tables,
    page_header,
    paragraph,
    plot,
    provenance,
    section,
    table,
    table_of_contents,
    titled_plot,
    wide,
)
from softstep.report.study import figures
from softstep.report.study.answer import study_answer, verdict_rows
from softstep.report.study.best_checkpoints_section import best_checkpoints_section, cells_map, cells_table
from softstep.report.study.contenders_page import contenders_page
from softstep.report.study.declaration_section import declaration_fact, declaration_section
from softstep.report.study.origins_section import adopted_fact, origins_section
from softstep.report.study.sections import Failures, failed_section
from softstep.runs import versions
from softstep.stats import performance_profile
from softstep.studies.best_checkpoints import measured_best_returns, with_best_checkpoints
from softstep.studies.declared_study import Carried
from softstep.studies.judge import StudyVerdict, judge_study
from softstep.studies.metrics import DEFAULT_METRIC, METRICS
from softstep.studies.origins import Origin
from softstep.studies.predictor import Predictor, rank_predictors
from softstep.studies.run_study import Study
from softstep.studies.spec import Spec
from softstep.studies.summaries import summarize_agents, summarize_cells
from softstep.theory.one_dimension import effective_alpha_approx

CONTENTS = {
    "cells": "one row per cell: returns, time to solve, divergence and y-drift, with intervals",
    "agents": "one row per agent: its final return, when it solved the environment, whether it diverged",
    "predictors": "how well single numbers of (α, c) predict the outcome",
    "verdicts": "the claims and their verdicts",
}
"""Tables that the page offers for download."""


def report_study(study: Study, out: Path | None = None) -> Path:
    """Write the study's page to `out`, or as report.html into its folder, and return its path.

    Best checkpoints are part of it where `study_best_returns` has judged them before; nothing is played here.
    """
    failures = {f"{agent.cell}, seed {agent.seed}": error for agent, error in study.progress.failed.items()}
    rest = (_newest_versions(study), failures, study.declaration, measured_best_returns(study), study.origins)
    if study.spec.contenders:
        page = contenders_page(study.frame, study.spec, study.winners, *rest)
    else:
        page = study_page(study.frame, study.spec, *rest)
    file = out or study.path / "report.html"
    files.write_file(file, page.encode())
    return file


def _newest_versions(study: Study) -> Mapping[str, Any]:
    """Return what the newest agents were trained with; what would train them here if no run says so."""
    recorded = [origin.versions for origin in study.origins if origin.versions]
    return recorded[-1] if recorded else versions.versions(study.spec.base)


def study_page(
    frame: pl.DataFrame,
    spec: Spec,
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
        versions: Versions by package.
        failures: Errors of the agents whose environments failed.
        declaration: What the study's folder says about its declaration.
        best: What best checkpoints earn on fresh episodes (`best_checkpoints.measured_best_returns`).
        origins: Where the agents of the table were trained.
    """
    threshold = threshold_of(spec.base.env)
    agents = with_best_checkpoints(summarize_agents(frame, spec, threshold), best, spec)
    cells = summarize_cells(agents)
    judged, predictors = judge_study(agents, spec), rank_predictors(agents)
    clipped = rank_predictors(agents, spec.criteria.floor)
    verdicts = verdict_rows(judged, spec)
    sections = "".join((
        section("Verdicts on the claims", verdict_cards(verdicts, spec.criteria.margin)) if verdicts else "",
        _maps(cells, threshold),
        _predictors(predictors, clipped, spec.criteria.floor),
        _slices(cells),
        _best_checkpoints(agents, cells, spec, judged),
        _profiles(agents, spec),
        _theory(cells),
        failed_section(failures),
        declaration_section(declaration, spec),
        origins_section(agents, origins),
        _method(spec),
        downloads(CONTENTS),
        provenance("Spec", spec.to_json(), versions),
    ))  # fmt: skip
    short = answer_box(study_answer(cells, judged, predictors, spec).split("\n\n"))
    content = _header(spec, declaration, adopted_fact(agents, origins)) + short + table_of_contents(sections) + sections
    tables = {
        "cells": as_columns(cells),
        "agents": as_columns(agents),
        "predictors": as_rows(
            [
                {"lower_bound": bound} | predictor._asdict()
                for bound, ranked in ((None, predictors), (spec.criteria.floor, clipped))
                for predictor in ranked
            ]
        ),
        "verdicts": as_rows(verdicts),
    }
    return document(f"softstep study: {spec.base.env}", content + embedded_tables(tables))


def _header(spec: Spec, declaration: Carried | None, adopted: str | None) -> str:
    facts = (
        spec.base.env,
        format_count(len(spec.cells()), "cell"),
        f"{format_count(spec.seeds, 'seed')} each",
        f"{format_thousands(spec.base.total_steps)} environment steps",
        *filter(None, [declaration_fact(declaration, spec), adopted]),
    )
    return page_header("The map: α × c", facts, "the text and tables")


def _is_map(cells: pl.DataFrame) -> bool:
    """Return whether both α and c vary."""
    return min(cells["alpha"].n_unique(), cells["c"].n_unique()) > 1


def _maps(cells: pl.DataFrame, threshold: float | None) -> str:
    if not _is_map(cells):
        return ""
    cells = cells.with_columns(diverged_share=pl.col("diverged") / pl.col("seeds"))
    maps = [("map-return", "Final greedy return", figures.map_figure(cells, "mean", "return"))]
    if threshold is not None:
        title = f"Environment steps until two evaluations in a row reach {threshold:g} (the budget if they never do)"
        maps.append(("map-time", title, figures.map_figure(cells, "time_to_solve", "steps", low_is_good=True)))
    if cells["diverged"].sum():
        figure = figures.map_figure(cells, "diverged_share", "share", low_is_good=True)
        maps.append(("map-diverged", "Share of seeds that diverged", figure))
    if np.isfinite(cells["y_drift"].to_numpy()).any():
        figure = figures.map_figure(cells, "y_drift", "mean |Δy|", log=True, low_is_good=True)
        maps.append(("map-drift", "How far y moves per gradient step, in units of return", figure))
    caption = (
        "(1−c)α is constant along a solid line, and (1−c)/α along a dotted one. If a soft update were just a"
        " smaller step, colours would be constant along the solid lines."
    )
    return section(
        "The maps", paragraph(caption), *(wide(titled_plot(title, name, figure)) for name, title, figure in maps)
    )


def _predictors(predictors: Sequence[Predictor], clipped: Sequence[Predictor], floor: float) -> str:
    """Return the section on predictors; `clipped` are those of the returns with `floor` as the lowest."""
    if not predictors:
        return ""
    caption = (
        "A smooth curve over one number is fitted to all other cells and predicts a row of α or a column of c that was"
        " left out. A share of 1 predicts every difference between cells, and 0 none of them; below 0 the mean would"
        " have predicted better. Means over few seeds differ by chance, and no number predicts that: the reproducible"
        " share leaves the seeds’ noise out (95 % interval by resampling the seeds of every cell). It exceeds 1 only by"
        f" chance. In the last of these columns returns below {format_short(floor)}, the score of a diverged agent,"
        f" count as {format_short(floor)}, so that the depth of a crash does not decide."
    )
    at_floor = {predictor.name: predictor for predictor in clipped}
    rows = [
        [
            escape(p.name),
            *map(_share, (p.r2, p.r2_rows, p.r2_columns)),
            _share_with_interval(p),
            _share_with_interval(at_floor[p.name]),
            escape(p.meaning) + (f" (no value in {format_count(p.undefined, 'cell')})" if p.undefined else ""),
        ]
        for p in predictors
    ]
    heads = ["number", "all", "rows of α", "columns of c", "reproducible", "reproducible, clipped", "what it is"]
    figure = plot("predictors", figures.predictor_figure(predictors))
    return section("Which number predicts best", paragraph(caption), figure, table(heads, rows, css="worded"))


def _share(share: float) -> str:
    return minus_sign(f"{share:.2f}") if np.isfinite(share) else MISSING


def _share_with_interval(predictor: Predictor) -> str:
    if not np.isfinite(predictor.reproducible):
        return MISSING
    share, low, high = map(_share, (predictor.reproducible, predictor.low, predictor.high))
    return f"{share} [{low}, {high}]"


def _slices(cells: pl.DataFrame) -> str:
    if cells["c"].n_unique() < 2:
        return ""
    caption = "Mean over seeds with its 95 % interval (Student’s t). Long intervals extend beyond the picture."
    return section("Slices", paragraph(caption), plot("slices", figures.slices_figure(cells)))


def _best_checkpoints(agents: pl.DataFrame, cells: pl.DataFrame, spec: Spec, judged: Sequence[StudyVerdict]) -> str:
    if "fresh_return" not in cells.columns:
        return ""
    means = cells_map(cells) if _is_map(cells) else cells_table(cells)
    return best_checkpoints_section(agents, spec, judged, means)


def _profiles(agents: pl.DataFrame, spec: Spec) -> str:
    """Return performance profiles over the judging seeds, for every c at its best α on the selection seeds."""
    if not spec.selection or agents["c"].n_unique() < 2:
        return ""
    scores = _scores_at_best_alpha(agents, spec)
    everything = np.concatenate(list(scores.values()))
    thresholds = np.linspace(everything.min(), everything.max(), 101)
    profiles = {name: performance_profile(values, thresholds) for name, values in scores.items()}
    caption = (
        "For every c, the α with the best mean on the selection seeds is used. The profile is the share of the other"
        " seeds that end above a return."
    )
    figure = plot("profiles", figures.profiles_figure(profiles, thresholds))
    return section("Performance profiles", paragraph(caption), figure)


def _scores_at_best_alpha(agents: pl.DataFrame, spec: Spec) -> dict[str, np.ndarray]:
    """Return the final returns of the judging seeds for every c, at the α that the selection seeds chose for it."""
    last = spec.base.seed + spec.selection
    selecting, judging = agents.filter(pl.col("seed") < last), agents.filter(pl.col("seed") >= last)
    scores = {}
    for c in sorted(agents["c"].unique().to_list()):
        by_alpha = selecting.filter(pl.col("c") == c).group_by("alpha", maintain_order=True)
        means = by_alpha.agg(pl.col("final_return").mean())
        alpha = means.sort("final_return", descending=True, maintain_order=True)["alpha"][0]
        chosen = judging.filter((pl.col("c") == c) & (pl.col("alpha") == alpha))
        scores[f"c = {c:g}, α = {alpha:g}"] = chosen["final_return"].to_numpy()
    return scores


def _theory(cells: pl.DataFrame) -> str:
    if not _is_map(cells):
        return ""
    effective = [
        effective_alpha_approx(alpha, c, gamma, 1.0)
        for alpha, c, gamma in cells.select("alpha", "c", "gamma").iter_rows()
    ]
    figure = figures.map_figure(cells.with_columns(effective=pl.Series(effective)), "effective", "α_eff", log=True)
    caption = (
        "For comparison, the prediction of the linear theory: α_eff is the step of the single network that would learn"
        " at the same rate, for one feature of size 1 at this γ. If α is far below 1 − c, it equals α: so fast a target"
        " costs no speed."
    )
    return section("The linear prediction", paragraph(caption), wide(plot("theory", figure)))


def _method(spec: Spec) -> str:
    claims_rule = (
        f"Claims are part of the spec, which precedes the run. The first {format_count(spec.selection, 'seed')}"
        f" select cells and the others judge them. Differences below {spec.criteria.margin:g} do not matter."
        if spec.selection
        else "No seeds were set apart for selection, so everything here is exploratory."
    )
    if spec.metric != DEFAULT_METRIC:
        claims_rule += f" Claims are judged on the {METRICS[spec.metric].title}: {METRICS[spec.metric].meaning}."
    rules = (
        "A cell’s score is the mean over seeds of each agent’s last 10 % of greedy evaluations,"
        f" {format_count(spec.base.eval_episodes, 'episode')} each. A diverged agent scores"
        f" {format_short(spec.criteria.floor)}.",
        "Rates of divergence have exact Clopper–Pearson intervals, which are part of the downloads.",
        "Time to solve is a restricted mean: a seed that never solves the environment counts as the whole budget.",
        claims_rule,
    )
    return section("Method", bullets(rules))
