"""A study as one HTML page that needs no network: verdicts, maps, the number that predicts best, and all tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from softstep import files
from softstep.report.comparison.method import downloads
from softstep.report.comparison.numbers import as_columns, as_rows, threshold_of
from softstep.report.comparison.verdict_cards import cards
from softstep.report.shared.markup import counted, document, packed_script, paragraph, plot, section, table
from softstep.report.study import figures as figures
from softstep.report.terminal.tables import rounded
from softstep.runs import versions
from softstep.stats import performance_profile
from softstep.studies.judge import StudyVerdict, judge_study
from softstep.studies.predictor import Predictor, rank_predictors
from softstep.studies.run_study import Study
from softstep.studies.spec import Spec
from softstep.studies.summaries import summarize_agents, summarize_cells
from softstep.theory.one_dimension import effective_alpha_approx

TABLES = {
    "cells": "one row per cell: returns, time to solve, divergence, y-drift, with intervals",
    "agents": "one row per agent: its final return, when it solved, whether it diverged",
    "predictors": "how well single numbers of (α, c) predict the outcome",
    "verdicts": "the claims, judged",
}

Failures = Mapping[str, str]


def report_study(study: Study, out: Path | None = None) -> Path:
    """Write the study's page to `out`, or as report.html into its folder; where it lies."""
    failures = {f"{member.cell}, seed {member.seed}": told for member, told in study.progress.failed.items()}
    page = study_page(study.frame, study.spec, versions.versions(study.spec.base), failures)
    file = out or study.path / "report.html"
    files.write_file(file.parent, file.name, page.encode())
    return file


def study_page(frame: pl.DataFrame, spec: Spec, versions: Mapping[str, Any], failures: Failures) -> str:
    """The whole page as HTML; frame: the study's table; failures: what failed agents' environments said."""
    threshold = threshold_of(spec.base.env)
    each = summarize_agents(frame, spec, threshold)
    cells = summarize_cells(each)
    judged, found = judge_study(each, spec), rank_predictors(cells)
    told = verdict_rows(judged, spec)
    content = (
        _header(spec),
        f'<div class="answer"><p>{escape(answer(cells, judged, found, spec))}</p></div>',
        section("What the claims came to", cards(told, spec.criteria.margin)) if told else "",
        _maps(cells, threshold),
        _predictors(found),
        _slices(cells),
        _profiles(each, spec),
        _theory(cells),
        _failed(failures),
        _method(spec),
        downloads(TABLES),
        _provenance(spec, versions),
    )
    data = {
        "cells": as_columns(cells),
        "agents": as_columns(each),
        "predictors": as_rows([p._asdict() for p in found]),
        "verdicts": as_rows(told),
    }
    embedded = "".join(
        packed_script(f"data-{name}", json.dumps(held, allow_nan=False, ensure_ascii=False))
        for name, held in data.items()
    )
    return document(f"softstep study: {spec.base.env}", "".join(content) + embedded)


def answer(cells: pl.DataFrame, judged: Sequence[StudyVerdict], found: Sequence[Predictor], spec: Spec) -> str:
    """One paragraph: the best cell, what a target does, what predicts best, the claims."""
    best = cells.sort("mean", descending=True, maintain_order=True).row(0, named=True)
    parts = [
        f"{cells.height} cells of (α, c) on {spec.base.env}, {counted(spec.seeds, 'seed')} each, "
        f"{spec.base.total_steps} environment steps.",
        f"The highest mean return, {rounded(best['mean'])}, is at α = {best['alpha']:g}, c = {best['c']:g}"
        f" (chosen after the fact, so a little too high).",
    ]
    without, with_target = (cells.filter(side) for side in (pl.col("c") == 0, pl.col("c") > 0))
    if without.height and with_target.height:
        none, soft = (part.sort("mean", descending=True).row(0, named=True) for part in (without, with_target))
        parts.append(
            f"Without a target network the best α is {none['alpha']:g} and gives {rounded(none['mean'])}; with one,"
            f" {rounded(soft['mean'])}."
        )
    diverged = int(cells["diverged"].sum())
    parts.append(f"{diverged} of {int(cells['seeds'].sum())} agents diverged.")
    if found:
        order = ", ".join(f"{p.name} {p.r2:.2f}".replace("-", "−") for p in found)
        parts.append(
            "Which single number predicts the return of rows and columns it has not seen? Share of the variance"
            f" predicted: {order}."
        )
    parts += [
        f"{v.claim}: {v.verdict} ({v.first} − {v.second}: {rounded(v.estimate)}"
        f" [{rounded(v.low)}, {rounded(v.high)}], {v.n} seeds)."
        for v in judged
    ]
    return " ".join(parts)


def verdict_rows(judged: Sequence[StudyVerdict], spec: Spec) -> list[dict[str, Any]]:
    """The claims in the shape of a comparison's `verdict.json`."""
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


def _header(spec: Spec) -> str:
    steps = f"{spec.base.total_steps:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return (
        "<header><h1>The map: α × c</h1>"
        f'<p class="facts">{escape(spec.base.env)} · {counted(len(spec.cells()), "cell")} · '
        f"{counted(spec.seeds, 'seed')} each · {steps} environment steps</p>"
        '<button id="theme" type="button" title="light or dark" aria-label="light or dark">◐</button></header>\n'
        "<noscript><p>The figures and downloads need JavaScript; the text and tables do not.</p></noscript>"
    )


def _is_map(cells: pl.DataFrame) -> bool:
    return min(cells["alpha"].n_unique(), cells["c"].n_unique()) > 1


def _maps(cells: pl.DataFrame, threshold: float | None) -> str:
    if not _is_map(cells):
        return ""
    shown = cells.with_columns(diverged_share=pl.col("diverged") / pl.col("seeds"))
    maps = [("map-return", "Final greedy return", figures.map_figure(shown, "mean", "return"))]
    if threshold is not None:
        figure = figures.map_figure(shown, "time_to_solve", "steps", down=True)
        maps.append(("map-time", f"Environment steps to {threshold:g} (unsolved: the budget)", figure))
    if shown["diverged"].sum():
        figure = figures.map_figure(shown, "diverged_share", "share", down=True)
        maps.append(("map-diverged", "Share of seeds that diverged", figure))
    if np.isfinite(shown["y_drift"].to_numpy()).any():
        figure = figures.map_figure(shown, "y_drift", "mean |Δy|", log=True, down=True)
        maps.append(("map-drift", "How far y moves per gradient step", figure))
    told = (
        "Along a solid line (1−c)α is the same, along a dotted one κ = (1−c)/α. Were a soft update just a smaller step,"
        " the colours would follow the solid lines."
    )
    drawn = "".join(f"<div><h3>{escape(title)}</h3>{plot(name, figure)}</div>" for name, title, figure in maps)
    return section("The maps", paragraph(told), drawn)


def _predictors(found: Sequence[Predictor]) -> str:
    if not found:
        return ""
    told = (
        "A smooth curve over one number, fitted to the cells that are seen, predicts a whole row of α or a whole column"
        " of c that is not. 1 would be every difference between cells predicted, 0 none; below 0 the mean did better."
    )
    rows = [
        [escape(p.name), escape(p.meaning), *(f"{r:.2f}".replace("-", "−") for r in (p.r2, p.r2_rows, p.r2_columns))]
        for p in found
    ]
    listed = table(["number", "what it is", "all", "rows of α", "columns of c"], rows)
    return section(
        "Which number predicts best", paragraph(told), plot("predictors", figures.predictor_figure(found)), listed
    )


def _slices(cells: pl.DataFrame) -> str:
    if cells["c"].n_unique() < 2:
        return ""
    told = "Mean over seeds with its 95 % interval (Student's t); an interval may be longer than the picture."
    return section("Slices", paragraph(told), plot("slices", figures.slices_figure(cells)))


def _profiles(each: pl.DataFrame, spec: Spec) -> str:
    """Profiles of every c at the α that is best for it on the selection seeds, over the others."""
    if not spec.selection or each["c"].n_unique() < 2:
        return ""
    last = spec.base.seed + spec.selection
    selecting, judging = each.filter(pl.col("seed") < last), each.filter(pl.col("seed") >= last)
    scores = {}
    for c in sorted(each["c"].unique().to_list()):
        means = selecting.filter(pl.col("c") == c).group_by("alpha", maintain_order=True).agg(
            pl.col("final_return").mean()
        )  # fmt: skip
        alpha = means.sort("final_return", descending=True, maintain_order=True)["alpha"][0]
        chosen = judging.filter((pl.col("c") == c) & (pl.col("alpha") == alpha))
        scores[f"c = {c:g}, α = {alpha:g}"] = chosen["final_return"].to_numpy()
    everything = np.concatenate(list(scores.values()))
    thresholds = np.linspace(everything.min(), everything.max(), 101)
    profiles = {name: performance_profile(of, thresholds) for name, of in scores.items()}
    told = (
        "For every c the α that was best on the selection seeds; the share of the other seeds that end above a return."
    )
    return section(
        "Performance profiles", paragraph(told), plot("profiles", figures.profiles_figure(profiles, thresholds))
    )


def _theory(cells: pl.DataFrame) -> str:
    if not _is_map(cells):
        return ""
    effective = [
        effective_alpha_approx(alpha, c, gamma, 1.0)
        for alpha, c, gamma in cells.select("alpha", "c", "gamma").iter_rows()
    ]
    figure = figures.map_figure(cells.with_columns(effective=pl.Series(effective)), "effective", "α_eff", log=True)
    told = (
        "What the linear theory says beside it: α_eff, the single network that would learn at the same rate, for one"
        " feature of size 1 at this γ. Where α is far below 1 − c it is α: a target so fast costs no speed."
    )
    return section("The linear prediction", paragraph(told), plot("theory", figure))


def _failed(failures: Failures) -> str:
    if not failures:
        return ""
    rows = [[escape(name), escape(told)] for name, told in failures.items()]
    return section("What failed", paragraph("These agents' environments raised."), table(["agent", "error"], rows))


def _method(spec: Spec) -> str:
    points = [
        f"A cell's score is the mean over seeds of an agent's last 10 % of greedy evaluations,"
        f" {counted(spec.base.eval_episodes, 'episode')} each; a diverged agent scores {spec.criteria.floor:g}.",
        "Rates of divergence have Clopper and Pearson's exact intervals (in the downloads).",
        "Time to solve is a restricted mean: a seed that never solves counts with the whole budget.",
        f"Claims stand in the spec before the run. The first {spec.selection} seeds select, the others judge;"
        f" differences below {spec.criteria.margin:g} do not matter."
        if spec.selection
        else "No seeds were set apart for selection: everything here is exploratory.",
    ]
    return section("Method", f"<ul>{''.join(f'<li>{escape(point)}</li>' for point in points)}</ul>")


def _provenance(spec: Spec, versions: Mapping[str, Any]) -> str:
    told = "\n".join(f"{name}: {value}" for name, value in versions.items())
    return section(
        "Spec and versions",
        f"<details><summary>Spec</summary><pre>{escape(spec.to_json())}</pre></details>",
        f"<details><summary>Versions</summary><pre>{escape(told)}</pre></details>",
    )
