"""Figures of a study: maps over (α, c), predictors, slices, performance profiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.colors
import plotly.graph_objects as go
import polars as pl

from softstep.report.shared.formatting import MISSING, format_power, minus_sign
from softstep.report.shared.palette import ACCENT
from softstep.report.shared.plotly_figure import empty_figure
from softstep.studies.predictor import Predictor
from softstep.target import TargetUpdate

SCALE = "Cividis"
"""A colour scale that looks the same with any kind of colour vision."""

ISO_LINES = 5
"""Number of lines of equal (1−c)α, and of lines of equal (1−c)/α."""

LEAST_SHARE = -0.5
"""Share of predicted variance at which worse predictors are drawn."""


def map_figure(
    cells: pl.DataFrame, column: str, unit: str, *, log: bool = False, low_is_good: bool = False
) -> go.Figure:
    """Return a column over log α and log lag, with lines of equal (1−c)α and of equal (1−c)/α.

    Args:
        cells: One row per cell.
        column: The column to draw.
        unit: Title of the colour bar.
        log: Whether colours follow the logarithm.
        low_is_good: Whether the bright end of the colours is the low one.
    """
    alphas, weights = (np.sort(cells[name].unique().to_numpy()) for name in ("alpha", "c"))
    x, y = np.log10(alphas), -np.log10(1 - weights)
    values = np.full((len(y), len(x)), np.nan)
    for alpha, c, value in cells.select("alpha", "c", column).iter_rows():
        values[np.searchsorted(weights, c), np.searchsorted(alphas, alpha)] = math.nan if value is None else value
    heights = np.log10(np.where(values > 0, values, np.nan)) if log else values
    figure = empty_figure("α", "c (half-life in gradient steps)")
    figure.update_layout(margin_b=62)
    labels = [[_three_digits(value) for value in row] for row in values]
    bar = {"title": {"text": unit}, "thickness": 12, "outlinewidth": 0}
    if log:
        ticks = np.arange(math.floor(np.nanmin(heights)), math.ceil(np.nanmax(heights)) + 1)
        bar |= {"tickvals": ticks.tolist(), "ticktext": [format_power(10.0**tick) for tick in ticks.tolist()]}
    figure.add_heatmap(
        x=x, y=y, z=heights, text=labels, texttemplate="%{text}", colorscale=SCALE, reversescale=low_is_good,
        colorbar=bar, textfont={"size": 11}, hovertemplate="%{text}<extra></extra>", xgap=1, ygap=1,
    )  # fmt: skip
    for slope, dash in ((1.0, "solid"), (-1.0, "dot")):
        _iso_lines(figure, x, y, slope, dash)
    ticks_c = [_c_with_half_life(c) for c in weights.tolist()]
    figure.update_xaxes(
        tickvals=x.tolist(), ticktext=[format_power(alpha) for alpha in alphas.tolist()], range=_edges(x)
    )
    return figure.update_yaxes(tickvals=y.tolist(), ticktext=ticks_c, range=_edges(y), automargin=True)


def _three_digits(value: float) -> str:
    """Return a value with three digits, or – if it is not finite."""
    if not math.isfinite(value):
        return MISSING
    if 0 < value < 1e-4:
        return format_power(value)
    text = f"{value / 1000:.3g} k" if abs(value) >= 10_000 else f"{float(f'{value:.3g}'):g}"
    return minus_sign(text)


def _c_with_half_life(c: float) -> str:
    return f"{c:g} ({_three_digits(TargetUpdate(1 - c).half_life)})"


def _edges(centres: np.ndarray) -> list[float]:
    """Return a range that extends half a cell beyond the centres of the outer cells."""
    if len(centres) < 2:
        return [float(centres[0]) - 0.5, float(centres[0]) + 0.5]
    return [float(1.5 * centres[0] - 0.5 * centres[1]), float(1.5 * centres[-1] - 0.5 * centres[-2])]


def _iso_lines(figure: go.Figure, x: np.ndarray, y: np.ndarray, slope: float, dash: str) -> None:
    """Add straight lines y = slope·x + k; in these logarithms (1−c)α is constant along slope 1, (1−c)/α along slope −1.

    Args:
        figure: The map.
        x: Logarithms of α.
        y: Negative logarithms of 1 − c.
        slope: Slope of the lines.
        dash: Their pattern.
    """
    (left, right), (low, high) = _edges(x), _edges(y)
    corners = [low - slope * left, low - slope * right, high - slope * left, high - slope * right]
    for k in np.linspace(min(corners), max(corners), ISO_LINES + 2)[1:-1]:
        ends = np.array([left, right])
        figure.add_scatter(
            x=ends, y=slope * ends + k, mode="lines", hoverinfo="skip", showlegend=False,
            line={"color": "rgba(255,255,255,0.75)", "width": 1.4, "dash": dash},
        )  # fmt: skip


def predictor_figure(predictors: Sequence[Predictor]) -> go.Figure:
    """Return shares of predicted variance as bars, the best on top, and those of left-out rows and columns as marks.

    Predictors without a share are left to the table.
    """
    figure = empty_figure("share of the variance between cells predicted", "")
    ordered = [predictor for predictor in predictors[::-1] if math.isfinite(predictor.r2)]
    names = [predictor.name for predictor in ordered]

    def clipped(shares: list[float]) -> dict[str, Any]:
        return {"x": [max(share, LEAST_SHARE) for share in shares], "y": names, "customdata": shares}

    figure.add_bar(
        **clipped([p.r2 for p in ordered]), orientation="h", marker_color=ACCENT,
        hovertemplate="%{customdata:.2f}<extra></extra>", showlegend=False,
    )  # fmt: skip
    for title, shares, symbol in (
        ("rows of α left out", [p.r2_rows for p in ordered], "diamond"),
        ("columns of c left out", [p.r2_columns for p in ordered], "circle"),
    ):
        figure.add_scatter(
            **clipped(shares), mode="markers", name=title, hovertemplate="%{customdata:.2f}",
            marker={"size": 10, "symbol": symbol, "color": "#e0a11f", "line": {"width": 1, "color": "#555"}},
        )  # fmt: skip
    figure.update_layout(height=120 + 46 * len(names), legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    figure.update_xaxes(range=[LEAST_SHARE - 0.05, 1.02], zeroline=True)
    return figure.update_yaxes(automargin=True)


def slices_figure(cells: pl.DataFrame) -> go.Figure:
    """Return the mean return over c, with a line and 95 % intervals for every α."""
    figure = empty_figure("c (half-life in gradient steps)", "final greedy return")
    alphas = sorted(cells["alpha"].unique().to_list())
    colours = plotly.colors.sample_colorscale("Viridis", np.linspace(0, 0.92, len(alphas)).tolist())
    for alpha, colour in zip(alphas, colours, strict=True):
        row = cells.filter(pl.col("alpha") == alpha).sort("c")
        mean, low, high = (row[name].to_numpy() for name in ("mean", "low", "high"))
        labels = [_c_with_half_life(c) for c in row["c"].to_list()]
        figure.add_scatter(
            x=labels, y=mean, mode="lines+markers", name=f"α = {format_power(alpha)}", line={"color": colour},
            error_y={"array": high - mean, "arrayminus": mean - low, "thickness": 1, "width": 3},
            hovertemplate="%{y:.3g}",
        )  # fmt: skip
    least, most = float(cells["mean"].min()), float(cells["mean"].max())  # type: ignore[arg-type]
    margin = 0.3 * (most - least) + 1e-9  # the wide intervals of few seeds must not squeeze everything else
    return figure.update_yaxes(range=[least - margin, most + margin])


def profiles_figure(profiles: dict[str, np.ndarray], thresholds: np.ndarray) -> go.Figure:
    """Return the share of seeds above every return, with a line for each c at its best α."""
    figure = empty_figure("final greedy return", "share of seeds above", hovermode="x unified")
    colours = plotly.colors.sample_colorscale("Viridis", np.linspace(0, 0.92, max(2, len(profiles))).tolist())
    for (name, profile), colour in zip(profiles.items(), colours, strict=False):
        figure.add_scatter(
            x=thresholds, y=profile, mode="lines", line={"color": colour, "shape": "hv"}, name=name,
            hovertemplate="%{y:.0%}",
        )  # fmt: skip
    return figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
