"""The empty plotly figure that all pages start from."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go


def empty_figure(x: str, y: str, **layout: Any) -> go.Figure:
    """Return a figure with titles on both axes that fits a phone; the page's script adds the colours of its theme."""
    figure = go.Figure(layout=go.Layout(template="none"))
    figure.update_layout(
        height=400, margin={"l": 58, "r": 14, "t": 12, "b": 46}, paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)", font={"family": "system-ui, sans-serif", "size": 13}, dragmode=False,
        hoverlabel={"align": "left"}, **layout,
    )  # fmt: skip
    figure.update_xaxes(title={"text": x, "standoff": 8}, zeroline=False)
    return figure.update_yaxes(title={"text": y, "standoff": 6}, zeroline=False)
