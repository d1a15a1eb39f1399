"""A comparison as one HTML page that needs no network: verdicts, curves, first steps, and every number behind them.

plotly and all data are part of the page, and its content security policy forbids it to fetch anything.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import polars as pl

from softstep.comparison.scores import ReturnCriteria
from softstep.config import Config
from softstep.report.comparison import figures as figures
from softstep.report.comparison import numbers as numbers
from softstep.report.comparison.method import MEANINGS, downloads, method, provenance
from softstep.report.comparison.verdict_cards import cards
from softstep.report.comparison.verdicts import Verdict, finite
from softstep.report.shared.axes import short
from softstep.report.shared.curves import Band, arms_of
from softstep.report.shared.markup import badge, counted, document, packed_script, paragraph, plot, section, table
from softstep.report.shared.palette import ArmStyle, arm_styles
from softstep.report.terminal.tables import rounded

MOVES = (("y_drift", "mean |Δy|"), ("y_rms", "RMS of Δy"), ("y_p99", "99th percentile of |Δy|"))
"""Columns on how far y moves, with their names."""

FIRST_STEP_COLUMNS = {
    "optimizer": "optimizer", "update": "update", "t_x": "‖T−X‖ / ‖X−X₀‖", "w_x": "‖W−X‖ / ‖X−X₀‖",
    "v_q": "‖V−Q‖ / ‖Q−Q₀‖", "v_small_t": "‖Q₀+(1−c)(Q−Q₀)−T‖ / ‖X−X₀‖", "t_x32": "T−X, float32",
    "w_x32": "W−X, float32", "t_x_ulp32": "median |T−X|, float32 ulp", "t_x_ulp32_max": "largest |T−X|, float32 ulp",
    "step_ulp32": "median step of X, float32 ulp",
}  # fmt: skip
"""Columns of the table of first steps, as far as they are there."""


def page(
    curves: pl.DataFrame,
    episodes: pl.DataFrame,
    config: Config,
    verdicts: Sequence[Verdict],
    first_steps: Sequence[Mapping[str, Any]],
    answer: str,
    versions: Mapping[str, Any],
    animation: bytes | None,
    *,
    margin: float | None = None,
    floor: float | None = None,
) -> str:
    """The whole page as HTML.

    verdicts: of the shape of `verdict.json`. first_steps: rows of optimizer, update, t_x, w_x and what else there is.
    answer: plain text, paragraphs apart by an empty line. animation: a GIF of the best soft agent. margin, floor: in
    units of return, in place of the environment's declared ones.
    """
    styles = arm_styles(arms_of(curves))
    fixed = numbers.fixed_for(config, margin, floor)
    moves = numbers.with_relative_moves(curves)
    scores = numbers.seed_scores(curves, fixed.floor if fixed else math.nan)
    content = (
        _header(config, styles),
        _answer(answer),
        section("What the claims came to", cards(verdicts, fixed.margin if fixed else None)),
        '<div id="measured">',
        _arms(styles),
        _learning(curves, styles),
        _final_scores(scores, styles, fixed),
        _moves(moves, config, styles),
        _gap(curves, styles),
        _solved(curves, config, styles),
        "</div>",
        _first_steps(first_steps),
        _landing(animation),
        method(config, fixed, styles),
        downloads(),
        provenance(config, versions),
    )
    data = {
        "curves": numbers.as_columns(curves),
        "episodes": numbers.as_columns(episodes),
        "scores": numbers.as_columns(scores),
        "verdicts": numbers.as_rows(verdicts),
        "first_steps": numbers.as_rows(first_steps),
    }
    embedded = "".join(packed_script(f"data-{name}", json.dumps(held, **_STRICT)) for name, held in data.items())
    return document(f"softstep: {config.env}", "".join(content) + embedded)


_STRICT: Mapping[str, Any] = {"allow_nan": False, "ensure_ascii": False, "separators": (",", ":")}


def _header(config: Config, styles: Mapping[str, ArmStyle]) -> str:
    seeds, arms = counted(config.seeds, "seed"), counted(len(styles), "arm")
    steps = f"{config.total_steps:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return (
        "<header><h1>Soft update, or just a smaller step?</h1>"
        f'<p class="facts">{escape(config.env)} · {arms} · {seeds} each · {steps} environment steps</p>'
        '<button id="theme" type="button" title="light or dark" aria-label="light or dark">◐</button></header>\n'
        "<noscript><p>The figures and downloads need JavaScript; the verdicts and tables do not.</p></noscript>"
    )


def _answer(answer: str) -> str:
    paragraphs = [part.strip() for part in answer.split("\n\n") if part.strip()]
    return f'<div class="answer">{"".join(f"<p>{escape(part)}</p>" for part in paragraphs)}</div>\n'


def _arms(styles: Mapping[str, ArmStyle]) -> str:
    """A bar of all arms that stays in sight beside their figures; each is a switch for its curves."""
    chips = "".join(
        f'<button type="button" aria-pressed="true" data-arm="{escape(arm)}" title="{escape(MEANINGS.get(arm, arm))}">'
        f'{badge(style)}{escape(arm)}</button>'
        for arm, style in styles.items()
    )  # fmt: skip
    return f'<nav id="arms" aria-label="arms to show">{chips}</nav>\n'


def _learning(curves: pl.DataFrame, styles: Mapping[str, ArmStyle]) -> str:
    evaluated = numbers.has_values(curves, "eval_return")
    column, name = ("eval_return", "greedy return") if evaluated else ("train_return", "training return")
    bands = numbers.interval_bands(curves, column)
    if not bands:
        return ""
    told = f"Mean {name} over seeds{_band_words(bands)}. Tap an arm above to hide or show it."
    return section("How they learned", paragraph(told), plot("learning", figures.curve_figure(bands, styles, name)))


def _band_words(bands: Mapping[str, Band]) -> str:
    """What the shade is, where there is one."""
    return ", with its 95 % interval shaded" if any(band.seeds > 1 for band in bands.values()) else ""


def _final_scores(scores: pl.DataFrame, styles: Mapping[str, ArmStyle], fixed: ReturnCriteria | None) -> str:
    if not scores["final_return"].is_finite().any():
        return ""
    told = "One dot per seed: the mean of its last 10 % of greedy evaluations. Diamond and bar: mean and 95 % interval."
    diverged = int(scores["diverged"].sum())
    if diverged:
        score = f"counted at {short(fixed.floor)}" if fixed else "left out, for no floor was declared"
        verb = "is" if diverged == 1 else "are"
        told += f" {counted(diverged, 'agent')} that diverged {verb} {score}."
    return section("Where every seed ended", paragraph(told), plot("scores", figures.scores_figure(scores, styles)))


def _moves(moves: pl.DataFrame, config: Config, styles: Mapping[str, ArmStyle]) -> str:
    """How far y moves, in standard deviations of y where the run measured those."""
    relative = any(numbers.has_values(moves, f"{name}_sd") for name, _ in MOVES)
    suffix, unit = ("_sd", " / SD(y)") if relative else ("", "")
    shown = [(name, title, f"{name}{suffix}") for name, title in MOVES if numbers.has_values(moves, f"{name}{suffix}")]
    found = [(name, title, numbers.interval_bands(moves, column, geometric=True)) for name, title, column in shown]
    drawn = [(name, title, bands) for name, title, bands in found if bands]
    if not drawn:
        return ""
    ranges = [figures.log_range(bands) for *_, bands in drawn]
    limits = min(low for low, _ in ranges), max(high for _, high in ranges)
    plots = "".join(
        f"<div><h3>{title}{unit}</h3>"
        f"{plot(name, figures.curve_figure(bands, styles, '', log=True, limits=limits))}</div>"
        for name, title, bands in drawn
    )
    still = [arm for name, _, bands in found if name == "y_p99" for arm in styles if arm not in bands]
    parts = (paragraph(_moves_words(relative, config, still)), f'<div class="grid">{plots}</div>')
    return section("How far the learning target y moves per gradient step", *parts)


def _moves_words(relative: bool, config: Config, still: Sequence[str]) -> str:
    words = (
        "On transitions that never change, over every gradient step between two records, in standard deviations of y."
        if relative
        else "As the run recorded it, in units of y."
    )
    words += " Geometric mean over seeds; logarithmic axis."
    hard = next((agent for agent in config.agents() if agent.target.kind == "hard"), None)
    if hard is not None:
        words += (
            f" Hard copies leave y still for {hard.target.period - 1} steps and then move it all at once: the mean"
            " spreads that jump over the steps between and looks like the soft update's, while the RMS squares it and"
            f" comes out up to √{hard.target.period} ≈ {math.sqrt(hard.target.period):.0f} times the mean."
        )
    if still:
        words += f" Not drawn, for more than 99 % of their steps leave y where it is: {', '.join(still)}."
    return words


def _gap(curves: pl.DataFrame, styles: Mapping[str, ArmStyle]) -> str:
    if not numbers.has_values(curves, "target_gap"):
        return ""
    bands = numbers.interval_bands(curves, "target_gap", geometric=True)
    if not bands:
        return ""
    told = f"Distance between the parameters of the two networks, geometric mean over seeds{_band_words(bands)}."
    alone = [arm for arm in styles if arm not in bands]
    if alone:
        told += f" Where the network is its own target it is 0: {', '.join(alone)}."
    figure = figures.curve_figure(bands, styles, "‖Q − T‖", log=True)
    return section("How far the target network stays behind", paragraph(told), plot("gap", figure))


def _solved(curves: pl.DataFrame, config: Config, styles: Mapping[str, ArmStyle]) -> str:
    threshold = numbers.threshold_of(config.env)
    found = numbers.solved(curves, threshold) if threshold is not None else []
    if threshold is None or not found:
        return ""
    told = (
        f"Solved: two greedy evaluations in a row at {short(threshold)} or above. A seed that never got there stays"
        " unsolved; none is left out."
    )
    rows = [
        [f"{badge(styles[arm.arm])} {escape(arm.arm)}", f"{len(arm.steps)} of {arm.seeds}",
         short(arm.median) if math.isfinite(arm.median) else f"not by {short(arm.end)}"]
        for arm in found
    ]  # fmt: skip
    drawn = plot("solved", figures.solved_figure(found, styles))
    listed = table(["arm", "solved", "half of the seeds solved after"], rows)
    return section("How long until it was solved", paragraph(told), drawn, listed)


def _first_steps(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    told = (
        "The founding question's networks, followed from one start through the same minibatches: T, the target network"
        " of a soft update; X, one network at the smaller step (1 − c)·α; W, one network blended with its own step."
        " T is X after the first update and not after the second; W is X at every update, up to rounding."
    )
    limits = figures.first_steps_range(rows)
    optimizers = list(dict.fromkeys(str(row["optimizer"]) for row in rows))
    plots = "".join(
        f"<div><h3>{escape(_OPTIMIZERS.get(name, name))}: distance from X, relative to X’s own path</h3>"
        + plot(
            f"first-steps-{place}",
            figures.first_steps_figure([row for row in rows if str(row["optimizer"]) == name], limits),
        )
        + "</div>"
        for place, name in enumerate(optimizers)
    )
    columns = [name for name in FIRST_STEP_COLUMNS if any(row.get(name) is not None for row in rows)]
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    listed = table([FIRST_STEP_COLUMNS[name] for name in columns], cells)
    zeros = f"An exact 0 is drawn at {figures.EXACT_ZERO:.0e}."
    parts = (paragraph(told), f'<div class="grid">{plots}</div>', f'<p class="quiet">{zeros}</p>', listed)
    return section("The first steps, replayed", *parts)


_OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}


def _cell(value: Any) -> str:
    """A table's cell: words and counts as they are, other numbers rounded, – where there is none."""
    if isinstance(value, (str, int)):
        return escape(str(value))
    known = finite(value)
    return rounded(known) if math.isnan(known) or known == 0 or abs(known) >= 0.01 else f"{known:.1e}".replace("-", "−")


def _landing(animation: bytes | None) -> str:
    if animation is None:
        return ""
    source = f"data:image/gif;base64,{base64.b64encode(animation).decode()}"
    told = "The best soft agent plays one greedy episode; beside the picture, its action values."
    image = f'<img src="{source}" alt="animation of one episode">'
    return section("The best soft agent at work", f"<figure>{image}<figcaption>{told}</figcaption></figure>")
