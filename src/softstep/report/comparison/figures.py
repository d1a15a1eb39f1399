"""Figures of the comparison's page, for light and dark grounds; the page's script colours text and grid lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from softstep.report.comparison.plotted_data import Solved, mean_band
from softstep.report.comparison.verdict_text import finite
from softstep.report.shared.axes import spread_labels
from softstep.report.shared.curves import Band, visible_range
from softstep.report.shared.formatting import minus_sign
from softstep.report.shared.palette import ARMS, ArmStyle
from softstep.report.shared.plotly_figure import empty_figure, log_axis

EXACT_ZERO = 1e-18
"""Value at which a distance of exactly 0 is drawn on a logarithmic axis: below any rounding error of float64."""

STEPS = "environment steps"

Styles = Mapping[str, ArmStyle]
Row = Mapping[str, Any]


def curve_figure(
    bands: Mapping[str, Band], styles: Styles, y: str, *, log: bool = False, limits: tuple[float, float] | None = None
) -> go.Figure:
    """Return a line per arm with its band, and the arm's letter at the line's end.

    Args:
        bands: Curves by arm.
        styles: Colours and letters by arm.
        y: Title of the y axis.
        log: Whether the y axis is logarithmic.
        limits: Range of the y axis in its own unit; None fits the curves.
    """
    figure = empty_figure(STEPS, y, hovermode="x unified")
    bottom, top = limits or (log_range(bands) if log else padded(*visible_range(dict(bands))))
    for arm, band in bands.items():
        colour = styles[arm].colour
        common: dict[str, Any] = {"legendgroup": arm, "line_color": colour, "showlegend": False}
        if band.seeds > 1:
            edge: dict[str, Any] = {"mode": "lines", "line_width": 0, "hoverinfo": "skip"}
            figure.add_scatter(x=band.steps, y=band.high, **common, **edge)
            figure.add_scatter(x=band.steps, y=band.low, fill="tonexty", fillcolor=tinted(colour), **common, **edge)
        ends = [minus_sign(f"{low:.4g} to {high:.4g}") for low, high in zip(band.low, band.high, strict=True)]
        hover = "%{y:.4g}" + (" (%{customdata})" if band.seeds > 1 else "")
        mode = "lines+markers" if len(band.steps) == 1 else "lines"
        figure.add_scatter(
            x=band.steps, y=band.mean, name=escape(arm), mode=mode, customdata=ends, hovertemplate=hover, **common
        )
    _end_letters(figure, bands, styles, (bottom, top), log)
    end = max((float(band.steps[-1]) for band in bands.values()), default=1.0)
    figure.update_xaxes(range=[0, 1.06 * end])
    return figure.update_yaxes(**(log_axis(bottom, top) if log else {"range": [bottom, top]}))


def _end_letters(
    figure: go.Figure, bands: Mapping[str, Band], styles: Styles, limits: tuple[float, float], log: bool
) -> None:
    """Add each arm's letter to the right of its last point; letters that would overlap are moved apart.

    Args:
        figure: The figure to add to.
        bands: Curves by arm.
        styles: Colours and letters by arm.
        limits: Range of the y axis in its own unit.
        log: Whether the y axis is logarithmic.
    """
    scale = np.log10 if log else np.asarray
    low, high = (float(scale(end)) for end in limits)
    wanted = [float(np.clip(scale(band.mean[-1]), low, high)) for band in bands.values()]
    heights = spread_labels(wanted, 0.06 * (high - low), low, high)
    for (arm, band), height in zip(bands.items(), heights, strict=True):
        figure.add_scatter(
            x=[band.steps[-1]], y=[10**height if log else height], text=[f"<b> {escape(styles[arm].letter)}</b>"],
            mode="text", textposition="middle right", textfont={"color": styles[arm].colour, "size": 14},
            cliponaxis=False, hoverinfo="skip", legendgroup=arm, showlegend=False,
        )  # fmt: skip


def scores_figure(scores: pl.DataFrame, styles: Styles, title: str = "final greedy return") -> go.Figure:
    """Return every seed's score as a dot, and each arm's mean and 95 % interval as a diamond and bar.

    Args:
        scores: Columns arm, seed, final_return and diverged.
        styles: Colours and letters by arm.
        title: What the scores are.
    """
    figure = empty_figure(title, "", hovermode="closest")
    names = {arm: f"{escape(styles[arm].letter)} {escape(arm)}" for arm in styles}
    for arm, style in styles.items():
        agents = scores.filter((pl.col("arm") == arm) & pl.col("final_return").is_finite())
        values = agents["final_return"].to_numpy()
        if not len(values):
            continue
        common: dict[str, Any] = {"legendgroup": arm, "showlegend": False, "mode": "markers"}
        labels = [f"seed {seed}" + (", diverged" if diverged else "") for _, seed, _, diverged in agents.iter_rows()]
        figure.add_scatter(
            x=values, y=[names[arm]] * len(values), text=labels, hovertemplate="%{text}: %{x:.4g}<extra></extra>",
            marker={"color": style.colour, "size": 9, "opacity": 0.55}, **common,
        )  # fmt: skip
        mean, low, high = (float(end[0]) for end in mean_band(values[:, None]))
        label = minus_sign(f"mean {mean:.4g} ({low:.4g} to {high:.4g})")
        figure.add_scatter(
            x=[mean], y=[names[arm]], hovertemplate=f"{label}<extra></extra>",
            error_x={"array": [high - mean], "thickness": 2.5, "width": 9, "color": style.colour},
            marker={"color": style.colour, "size": 13, "symbol": "diamond", "line": {"width": 1.5, "color": "white"}},
            **common,
        )  # fmt: skip
    figure.update_yaxes(categoryorder="array", categoryarray=list(names.values())[::-1], automargin=True)
    return figure.update_layout(height=110 + 48 * len(names))


def solved_figure(arms: Sequence[Solved], styles: Styles) -> go.Figure:
    """Return the share of each arm's seeds that have solved the environment, as a staircase over steps."""
    figure = empty_figure(STEPS, "share of seeds solved", hovermode="x unified")
    for arm in arms:
        steps = [0.0, *arm.steps, float(arm.end)]
        share = [k / arm.seeds for k in range(len(arm.steps) + 1)]
        figure.add_scatter(
            x=steps, y=[*share, share[-1]], name=escape(arm.arm), mode="lines", line_shape="hv",
            line={"color": styles[arm.arm].colour, "width": 2.5}, hovertemplate="%{y:.0%}",
            legendgroup=arm.arm, showlegend=False,
        )  # fmt: skip
    figure.update_xaxes(range=[0, 1.02 * max(arm.end for arm in arms)])
    return figure.update_yaxes(range=[-0.04, 1.04], tickformat=".0%")


def first_steps_figure(rows: Sequence[Row], limits: tuple[float, float]) -> go.Figure:
    """Return ‖T − X‖/‖X − X₀‖ and ‖W − X‖/‖X − X₀‖ over updates for one optimizer; float32, if present, is dotted."""
    figure = empty_figure("update", "", hovermode="x unified")
    for name, column, colour in (("T − X", "t_x", ARMS["soft"].colour), ("W − X", "w_x", ARMS["blended"].colour)):
        for suffix, precision, dash in (("", "float64", "solid"), ("32", "float32", "dot")):
            points = [(row["update"], finite(row.get(column + suffix))) for row in rows]
            known = [(update, value) for update, value in points if not math.isnan(value)]
            if known:
                figure.add_scatter(
                    x=[update for update, _ in known], y=[max(value, EXACT_ZERO) for _, value in known],
                    customdata=[f"{value:.3g}" for _, value in known], hovertemplate="%{customdata}",
                    name=f"{name}, {precision}", mode="lines+markers", line={"color": colour, "dash": dash},
                )  # fmt: skip
    figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    figure.update_xaxes(type="log", tickvals=sorted({row["update"] for row in rows}), tickformat="d")
    return figure.update_yaxes(**log_axis(*limits))


def first_steps_range(rows: Sequence[Row]) -> tuple[float, float]:
    """Return limits that contain the distances of every optimizer."""
    columns = ("t_x", "w_x", "t_x32", "w_x32")
    values = [max(finite(row.get(name)), EXACT_ZERO) for row in rows for name in columns if row.get(name) is not None]
    known = [value for value in values if math.isfinite(value)] or [1.0]
    return min(known) / 3, max(known) * 3


def log_range(bands: Mapping[str, Band]) -> tuple[float, float]:
    """Return limits of a logarithmic axis that contain every mean; bands are cut off at three times that."""
    means = np.concatenate([band.mean for band in bands.values()])
    low = max(min(float(band.low.min()) for band in bands.values()), float(means.min()) / 3)
    high = min(max(float(band.high.max()) for band in bands.values()), float(means.max()) * 3)
    return low / 1.15, high * 1.15


def padded(low: float, high: float) -> tuple[float, float]:
    """Return a range that is a little wider than the values."""
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def tinted(colour: str) -> str:
    """Return a colour #rrggbb with the transparency of a band."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"
