"""A study's figures: maps over (α, c), what predicts best, slices, profiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.colors
import plotly.graph_objects as go
import polars as pl

from softstep.report.comparison.figures import base
from softstep.report.shared.palette import ACCENT
from softstep.studies.predictor import Predictor
from softstep.target import TargetUpdate

SCALE = "Cividis"
"""A colour scale that reads the same with every kind of colour vision."""

ISO = 5
"""Lines of equal (1−c)α, and as many of equal κ."""


def map_figure(cells: pl.DataFrame, column: str, unit: str, *, log: bool = False, down: bool = False) -> go.Figure:
    """A column of the cells' table over log α and log lag, with lines of equal (1−c)α and of equal κ = (1−c)/α.

    log: colours follow the logarithm. down: small is good, so that the bright end is the low one.
    """
    alphas, weights = (np.sort(cells[name].unique().to_numpy()) for name in ("alpha", "c"))
    x, y = np.log10(alphas), -np.log10(1 - weights)
    values = np.full((len(y), len(x)), np.nan)
    for alpha, c, value in cells.select("alpha", "c", column).iter_rows():
        values[np.searchsorted(weights, c), np.searchsorted(alphas, alpha)] = math.nan if value is None else value
    heights = np.log10(np.where(values > 0, values, np.nan)) if log else values
    figure = base("α", "c (half-life in gradient steps)")
    figure.update_layout(margin_b=62)
    words = [[_word(value) for value in row] for row in values]
    bar = {"title": {"text": unit}, "thickness": 12, "outlinewidth": 0}
    if log:
        ticks = np.arange(math.floor(np.nanmin(heights)), math.ceil(np.nanmax(heights)) + 1)
        bar |= {"tickvals": ticks.tolist(), "ticktext": [f"{10.0**tick:g}" for tick in ticks]}
    figure.add_heatmap(
        x=x, y=y, z=heights, text=words, texttemplate="%{text}", colorscale=SCALE, reversescale=down, colorbar=bar,
        textfont={"size": 11}, hovertemplate="%{text}<extra></extra>", xgap=1, ygap=1,
    )  # fmt: skip
    for slope, dash in ((1.0, "solid"), (-1.0, "dot")):
        _iso_lines(figure, x, y, slope, dash)
    half = [TargetUpdate(1 - c).half_life for c in weights.tolist()]
    labels = [f"{c:g} ({_word(h)})" for c, h in zip(weights.tolist(), half, strict=True)]
    figure.update_xaxes(tickvals=x.tolist(), ticktext=[f"{alpha:g}" for alpha in alphas.tolist()], range=_edges(x))
    return figure.update_yaxes(tickvals=y.tolist(), ticktext=labels, range=_edges(y), automargin=True)


def _word(value: float) -> str:
    """Three digits; – where there is no value."""
    if not math.isfinite(value):
        return "–"
    word = f"{value / 1000:.3g} k" if abs(value) >= 10_000 else f"{float(f'{value:.3g}'):g}"
    return word.replace("-", "−") if value < 0 else word


def _edges(places: np.ndarray) -> list[float]:
    """A range half a cell wider than the places."""
    if len(places) < 2:
        return [float(places[0]) - 0.5, float(places[0]) + 0.5]
    return [float(1.5 * places[0] - 0.5 * places[1]), float(1.5 * places[-1] - 0.5 * places[-2])]


def _iso_lines(figure: go.Figure, x: np.ndarray, y: np.ndarray, slope: float, dash: str) -> None:
    """Straight lines y = slope·x + k: in these logarithms (1−c)α is constant along slope 1, κ along slope −1."""
    (left, right), (low, high) = _edges(x), _edges(y)
    corners = [low - slope * left, low - slope * right, high - slope * left, high - slope * right]
    for k in np.linspace(min(corners), max(corners), ISO + 2)[1:-1]:
        ends = np.array([left, right])
        figure.add_scatter(
            x=ends, y=slope * ends + k, mode="lines", hoverinfo="skip", showlegend=False,
            line={"color": "rgba(255,255,255,0.75)", "width": 1.4, "dash": dash},
        )  # fmt: skip


def predictor_figure(found: Sequence[Predictor]) -> go.Figure:
    """Shares of the variance predicted, the best on top; left-out rows and columns as marks."""
    figure = base("share of the variance between cells predicted", "")
    names = [predictor.name for predictor in found][::-1]
    shown = {p.name: p for p in found}
    figure.add_bar(
        x=[max(shown[n].r2, -0.5) for n in names], y=names, orientation="h", marker_color=ACCENT,
        customdata=[shown[n].r2 for n in names], hovertemplate="%{customdata:.2f}<extra></extra>", showlegend=False,
    )  # fmt: skip
    for title, of, symbol in (("rows of α left out", 4, "diamond"), ("columns of c left out", 5, "circle")):
        figure.add_scatter(
            x=[max(shown[n][of - 1], -0.5) for n in names], y=names, mode="markers", name=title,
            marker={"size": 10, "symbol": symbol, "color": "#e0a11f", "line": {"width": 1, "color": "#555"}},
            customdata=[shown[n][of - 1] for n in names], hovertemplate="%{customdata:.2f}",
        )  # fmt: skip
    figure.update_layout(height=120 + 46 * len(names), legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    figure.update_xaxes(range=[-0.55, 1.02], zeroline=True)
    return figure.update_yaxes(automargin=True)


def slices_figure(cells: pl.DataFrame) -> go.Figure:
    """Mean return over c, a line with 95 % intervals for every α."""
    figure = base("c (half-life in gradient steps)", "final greedy return")
    alphas = sorted(cells["alpha"].unique().to_list())
    colours = plotly.colors.sample_colorscale("Viridis", np.linspace(0, 0.92, len(alphas)).tolist())
    for alpha, colour in zip(alphas, colours, strict=True):
        row = cells.filter(pl.col("alpha") == alpha).sort("c")
        mean, low, high = (row[name].to_numpy() for name in ("mean", "low", "high"))
        labels = [f"{c:g} ({_word(TargetUpdate(1 - c).half_life)})" for c in row["c"].to_list()]
        figure.add_scatter(
            x=labels, y=mean, mode="lines+markers", name=f"α = {alpha:g}", line={"color": colour},
            error_y={"array": high - mean, "arrayminus": mean - low, "thickness": 1, "width": 3},
            hovertemplate="%{y:.3g}",
        )  # fmt: skip
    least, most = float(cells["mean"].min()), float(cells["mean"].max())  # type: ignore[arg-type]
    room = 0.3 * (most - least) + 1e-9  # intervals of few seeds would dwarf everything else
    return figure.update_yaxes(range=[least - room, most + room])


def profiles_figure(profiles: dict[str, np.ndarray], thresholds: np.ndarray) -> go.Figure:
    """The share of seeds above every return, a line for each c at its best α."""
    figure = base("final greedy return", "share of seeds above", hovermode="x unified")
    colours = plotly.colors.sample_colorscale("Viridis", np.linspace(0, 0.92, max(2, len(profiles))).tolist())
    for (name, profile), colour in zip(profiles.items(), colours, strict=False):
        figure.add_scatter(
            x=thresholds, y=profile, mode="lines", line={"color": colour, "shape": "hv"}, name=name,
            hovertemplate="%{y:.0%}",
        )  # fmt: skip
    return figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
