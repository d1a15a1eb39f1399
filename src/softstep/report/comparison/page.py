"""A comparison as one HTML page that needs no network: answer, verdicts, curves, first steps, and all numbers.

The page contains plotly and all data, and its content security policy forbids it to fetch anything.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import polars as pl

from softstep.config import Config
from softstep.report.comparison import figures, plotted_data
from softstep.report.comparison.background import QUESTION
from softstep.report.comparison.best_checkpoints_section import best_checkpoints_section
from softstep.report.comparison.measured_sections import (
    Styles,
    arm_switches,
    gap_section,
    learning_section,
    moves_section,
    scores_section,
    solved_section,
)
from softstep.report.comparison.method_section import method_section
from softstep.report.comparison.verdict_cards import verdict_cards
from softstep.report.comparison.verdict_text import VerdictRow, finite
from softstep.report.shared.curves import arms_of
from softstep.report.shared.formatting import (
    format_count,
    format_result,
    format_thousands,
    minus_sign,
)
from softstep.report.shared.json_tables import as_columns, as_rows
from softstep.report.shared.markup import (
    answer_box,
    document,
    downloads,
    embedded_tables,
    folded,
    page_header,
    paragraph,
    provenance,
    section,
    table,
    table_of_contents,
    titled_plot,
)
from softstep.report.shared.palette import arm_styles
from softstep.runs.best_returns import BestReturns

FIRST_STEP_COLUMNS = {
    "optimizer": "optimizer", "update": "update", "t_x": "‖T−X‖ / ‖X−X₀‖", "w_x": "‖W−X‖ / ‖X−X₀‖",
    "v_q": "‖V−Q‖ / ‖Q−Q₀‖", "v_small_t": "‖Q₀+(1−c)(Q−Q₀)−T‖ / ‖X−X₀‖", "t_x32": "T−X, float32",
    "w_x32": "W−X, float32", "t_x_ulp32": "median |T−X|, float32 ulp", "t_x_ulp32_max": "largest |T−X|, float32 ulp",
    "step_ulp32": "median step of X, float32 ulp",
}  # fmt: skip
"""Columns of the table of first steps, if the rows have them."""

OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}

CONTENTS = {
    "curves": "one row per agent and record",
    "episodes": "one row per finished training episode",
    "scores": "the final greedy return of every agent",
    "verdicts": "claims, estimates, intervals and verdicts",
    "first_steps": "distances between the networks, by update",
}
"""Tables that the page offers for download."""

BEST_CONTENTS = {"best_checkpoints": "what every agent’s best checkpoint earns on fresh episodes"}
"""The further table of a run whose best checkpoints have been judged."""


def comparison_page(
    curves: pl.DataFrame,
    episodes: pl.DataFrame,
    config: Config,
    verdicts: Sequence[VerdictRow],
    first_steps: Sequence[Mapping[str, Any]],
    answer: str,
    versions: Mapping[str, Any],
    animation: bytes | None,
    *,
    margin: float | None = None,
    floor: float | None = None,
    best: BestReturns | None = None,
) -> str:
    """Return the complete page as HTML.

    Args:
        curves: One row per agent and record.
        episodes: One row per training episode.
        config: The run's configuration.
        verdicts: Entries of `verdict.json`.
        first_steps: Rows with optimizer, update, t_x, w_x and possibly more of `FIRST_STEP_COLUMNS`.
        answer: Plain text; an empty line separates paragraphs.
        versions: Versions by package.
        animation: A GIF of the best soft agent.
        margin: In units of return, instead of the environment's declared margin.
        floor: In units of return, instead of the environment's declared floor.
        best: What the best checkpoints earn on fresh episodes, if that has been measured.
    """
    styles = arm_styles(arms_of(curves))
    fixed = plotted_data.declared_or_none(config, margin, floor)
    scores = plotted_data.seed_scores(curves, fixed.floor if fixed else math.nan)
    sections = "".join((
        section("Verdicts on the claims", verdict_cards(verdicts, fixed.margin if fixed else None)),
        '<div id="measured">',
        arm_switches(styles),
        learning_section(curves, styles),
        scores_section(scores, styles, fixed),
        best_checkpoints_section(best, scores, verdicts, fixed.floor if fixed else math.nan, styles),
        moves_section(plotted_data.with_relative_moves(curves), config, styles),
        gap_section(curves, styles),
        solved_section(curves, config, styles),
        "</div>",
        _first_steps(first_steps),
        _episode(animation),
        method_section(config, fixed, styles),
        downloads(CONTENTS if best is None else CONTENTS | BEST_CONTENTS),
        provenance("Configuration", config.to_json(), versions),
    ))  # fmt: skip
    parts = [part.strip() for part in answer.removeprefix(QUESTION).split("\n\n") if part.strip()]
    content = _header(config, styles) + answer_box(parts) + table_of_contents(sections) + sections
    tables = {
        "curves": as_columns(curves),
        "episodes": as_columns(episodes),
        "scores": as_columns(scores),
        "verdicts": as_rows(verdicts),
        "first_steps": as_rows(first_steps),
        **({} if best is None else {"best_checkpoints": as_rows([agent._asdict() for agent in best.agents])}),
    }
    return document(f"softstep: {config.env}", content + embedded_tables(tables))


def _header(config: Config, styles: Styles) -> str:
    facts = (
        config.env,
        format_count(len(styles), "arm"),
        f"{format_count(config.seeds, 'seed')} each",
        f"{format_thousands(config.total_steps)} environment steps",
    )
    return page_header(QUESTION, facts, "the verdicts and tables")


def _first_steps(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    caption = (
        "Three networks start from the same parameters and train on the same minibatches: T, the target network of a"
        " soft update; X, one network at the smaller step (1 − c)·α; and W, one network blended with its own step."
        " T equals X after the first update but not after the second. W equals X at every update, up to rounding."
    )
    limits = figures.first_steps_range(rows)
    optimizers = list(dict.fromkeys(str(row["optimizer"]) for row in rows))
    plots = "".join(
        titled_plot(
            f"{OPTIMIZERS.get(name, name)}: distance from X, relative to the distance X has moved",
            f"first-steps-{number}",
            figures.first_steps_figure([row for row in rows if str(row["optimizer"]) == name], limits),
        )
        for number, name in enumerate(optimizers)
    )
    columns = [name for name in FIRST_STEP_COLUMNS if any(row.get(name) is not None for row in rows)]
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    listed = table([FIRST_STEP_COLUMNS[name] for name in columns], cells)
    zeros = f"A distance of exactly 0 is drawn at {figures.EXACT_ZERO:.0e}."
    parts = (paragraph(caption), f'<div class="grid">{plots}</div>', f'<p class="quiet">{zeros}</p>')
    return section("The first steps, replayed", *parts, folded("These distances as a table", listed))


def _cell(value: Any) -> str:
    """Return the text of a table's cell: words and counts as they are, other numbers rounded."""
    if isinstance(value, (str, int)):
        return escape(str(value))
    number = finite(value)
    return minus_sign(f"{number:.1e}") if 0 < abs(number) < 0.01 else format_result(number)


def _episode(animation: bytes | None) -> str:
    if animation is None:
        return ""
    source = f"data:image/gif;base64,{base64.b64encode(animation).decode()}"
    caption = "The best soft agent plays one greedy episode. Its action values are shown beside the picture."
    image = f'<img src="{source}" alt="animation of one episode">'
    return section("One episode of the best soft agent", f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
