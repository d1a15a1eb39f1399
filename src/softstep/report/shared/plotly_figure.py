"""The empty plotly figure that all pages start from."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from softstep.report.shared.axes import log_ticks
from softstep.report.shared.formatting import format_power


def empty_figure(x: str, y: str, **layout: Any) -> go.Figure:
    """Return a figure with titles on both axes that fits a phone; the page's script adds the colours of its theme."""
    figure = go.Figure(layout=go.Layout(template="none"))
    figure.update_layout(
        height=400, margin={"l": 58, "r": 14, "t": 12, "b": 46}, paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)", font={"family": "system-ui, sans-serif", "size": 13}, dragmode=False,
        hoverlabel={"align": "left"}, **layout,
    )  # fmt: skip
    figure.update_xaxes(title={"text": x, "standoff": 8}, zeroline=False)
    title = {"text": y, "standoff": 6}
    return figure.update_yaxes(title=title, zeroline=False, exponentformat="power", automargin=True)


def log_axis(low: float, high: float) -> dict[str, Any]:
    """Return the settings of a logarithmic axis from `low` to `high`, with ticks that are complete numbers."""
    ticks = log_ticks(low, high)
    return {
        "type": "log", "range": np.log10([low, high]).tolist(), "tickvals": ticks,
        "ticktext": [format_power(tick) for tick in ticks],
    }  # fmt: skip
