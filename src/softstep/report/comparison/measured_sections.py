"""Sections of a run's page that show what was measured: returns, how far y moves, how far T lags, solved seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import polars as pl

from softstep.comparison.scores import ReturnCriteria
from softstep.config import Config
from softstep.report.comparison import figures, plotted_data
from softstep.report.comparison.method_section import MEANINGS
from softstep.report.shared.curves import Band
from softstep.report.shared.formatting import format_short
from softstep.report.shared.markup import badge, paragraph, plot, section, table, titled_plot
from softstep.report.shared.palette import ArmStyle

Styles = Mapping[str, ArmStyle]

MOVE_TITLES = {"y_drift": "mean |Δy|", "y_rms": "RMS of Δy", "y_p99": "99th percentile of |Δy|"}
"""Columns on how far y moves, with their titles."""


def arm_switches(styles: Styles) -> str:
    """Return a bar that stays visible beside the figures, with a switch for the curves of each arm."""
    switches = "".join(
        f'<button type="button" aria-pressed="true" data-arm="{escape(arm)}" title="{escape(MEANINGS.get(arm, arm))}">'
        f'{badge(style)}{escape(arm)}</button>'
        for arm, style in styles.items()
    )  # fmt: skip
    return f'<nav id="arms" aria-label="arms to show">{switches}</nav>\n'


def learning_section(curves: pl.DataFrame, styles: Styles) -> str:
    """Return the learning curves of every arm: greedy returns or, if there are none, training returns."""
    evaluated = plotted_data.has_values(curves, "eval_return")
    column, name = ("eval_return", "greedy return") if evaluated else ("train_return", "training return")
    bands = plotted_data.interval_bands(curves, column)
    if not bands:
        return ""
    caption = f"Mean {name} over seeds{_shading(bands)}. Tap an arm above to hide or show it."
    return section("Learning curves", paragraph(caption), plot("learning", figures.curve_figure(bands, styles, name)))


def _shading(bands: Mapping[str, Band]) -> str:
    """Return the words for the shaded bands, if any arm has more than one seed."""
    return ", with its 95 % interval shaded" if any(band.seeds > 1 for band in bands.values()) else ""


def scores_section(scores: pl.DataFrame, styles: Styles, fixed: ReturnCriteria | None) -> str:
    """Return the final return of every seed."""
    if not scores["final_return"].is_finite().any():
        return ""
    caption = (
        "Each dot is the mean of a seed’s last 10 % of greedy evaluations. The diamond and its bar are the mean over"
        " seeds and its 95 % interval."
    )
    diverged = int(scores["diverged"].sum())
    if diverged:
        score = f"count as {format_short(fixed.floor)}" if fixed else "are left out, because no floor was declared"
        caption += f" Diverged agents ({diverged}) {score}."
    figure = figures.scores_figure(scores, styles)
    return section("Final return of every seed", paragraph(caption), plot("scores", figure))


def moves_section(moves: pl.DataFrame, config: Config, styles: Styles) -> str:
    """Return figures of how far y moves, in standard deviations of y if the run measured those."""
    relative = any(plotted_data.has_values(moves, f"{name}_sd") for name in plotted_data.MOVES)
    suffix, unit = ("_sd", " / SD(y)") if relative else ("", "")
    present = [name for name in plotted_data.MOVES if plotted_data.has_values(moves, f"{name}{suffix}")]
    bands = {name: plotted_data.interval_bands(moves, f"{name}{suffix}", geometric=True) for name in present}
    drawn = {name: by_arm for name, by_arm in bands.items() if by_arm}
    if not drawn:
        return ""
    ranges = [figures.log_range(by_arm) for by_arm in drawn.values()]
    limits = min(low for low, _ in ranges), max(high for _, high in ranges)
    plots = "".join(
        titled_plot(
            f"{MOVE_TITLES[name]}{unit}", name, figures.curve_figure(by_arm, styles, "", log=True, limits=limits)
        )
        for name, by_arm in drawn.items()
    )
    unmoved = [arm for arm in styles if "y_p99" in bands and arm not in bands["y_p99"]]
    parts = (paragraph(_moves_caption(relative, config, unmoved)), f'<div class="grid">{plots}</div>')
    return section("How far the learning target y moves per gradient step", *parts)


def _moves_caption(relative: bool, config: Config, unmoved: Sequence[str]) -> str:
    sentences = [
        "Measured on a fixed set of transitions, over every gradient step between two records, in standard deviations"
        " of y."
        if relative
        else "As the run recorded it, in units of y.",
        "Geometric mean over seeds on a logarithmic axis.",
    ]
    hard = next((agent for agent in config.agents() if agent.target.kind == "hard"), None)
    if hard is not None:
        period = hard.target.period
        sentences.append(
            f"Hard copies leave y unchanged for {period - 1} steps and then move it at once. The mean spreads this jump"
            " over the steps between, so it resembles the mean of the soft update. The RMS squares the jump, so it is"
            f" up to √{period} ≈ {math.sqrt(period):.0f} times the mean."
        )
    if unmoved:
        names = ", ".join(unmoved)
        sentences.append(f"Not drawn, because more than 99 % of their steps leave y unchanged: {names}.")
    return " ".join(sentences)


def gap_section(curves: pl.DataFrame, styles: Styles) -> str:
    """Return how far T lags behind Q."""
    if not plotted_data.has_values(curves, "target_gap"):
        return ""
    bands = plotted_data.interval_bands(curves, "target_gap", geometric=True)
    if not bands:
        return ""
    caption = f"Distance between the parameters of Q and T, as the geometric mean over seeds{_shading(bands)}."
    without_target = [arm for arm in styles if arm not in bands]
    if without_target:
        caption += f" It is 0 for arms whose network is its own target: {', '.join(without_target)}."
    figure = figures.curve_figure(bands, styles, "‖Q − T‖", log=True)
    return section("How far the target network lags behind", paragraph(caption), plot("gap", figure))


def solved_section(curves: pl.DataFrame, config: Config, styles: Styles) -> str:
    """Return when the seeds of each arm solved the environment, if it counts as solved at some return."""
    threshold = plotted_data.threshold_of(config.env)
    arms = plotted_data.solved(curves, threshold) if threshold is not None else []
    if threshold is None or not arms:
        return ""
    caption = (
        "A seed has solved the environment at its second greedy evaluation in a row with a return of at least"
        f" {format_short(threshold)}. Seeds that never get there count as unsolved."
    )
    rows = [
        [
            f"{badge(styles[arm.arm])} {escape(arm.arm)}",
            f"{len(arm.steps)} of {arm.seeds}",
            format_short(arm.median) if math.isfinite(arm.median) else f"not by {format_short(arm.end)}",
        ]
        for arm in arms
    ]
    figure = plot("solved", figures.solved_figure(arms, styles))
    listed = table(["arm", "solved", "half of the seeds solved after"], rows)
    return section("Steps until the environment was solved", paragraph(caption), figure, listed)
