"""`softstep theory`: the answer for a pair (α, c) as text and as one self-contained page.

The page shows the ledger's weights, the frequency response, a stability map over α and κ = (1−c)/α in which the pair is
marked, and rate against variance for single networks, Q and T. It contains plotly once and fetches nothing.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
import plotly.offline

from softstep import files, theory
from softstep.report.shared.palette import ARMS, DARK_GROUND, DARK_INK, LIGHT_GROUND, LIGHT_INK
from softstep.report.shared.plotly_figure import log_axis
from softstep.target import TargetUpdate
from softstep.theory import problems

SOFT, HARD, SINGLE, ONLINE = (ARMS[arm].colour for arm in ("soft", "hard", "smaller-alpha", "same-alpha"))
MAP_SIZE = 121
"""Number of points along each axis of the stability map."""


class TheoryResult(NamedTuple):
    """Text for the terminal, the numbers in it, and the path of the page if one was written."""

    text: str
    numbers: dict[str, Any]
    page: Path | None


def run(
    alpha: float,
    c: float,
    problem: str | None = None,
    mdp_file: str | Path | None = None,
    out: str | Path | None = None,
) -> TheoryResult:
    """Explain (α, c), and write the page if `out` is given.

    Args:
        alpha: The step size α of the Q-network.
        c: The weight of the old target.
        problem: Name of a problem; without one, the answer is general and the page shows `only_target`.
        mdp_file: File of a decision process, instead of a named problem.
        out: File of the page.

    Raises:
        ValueError: In one line, if the pair is out of range, the problem is unknown, both sources are given, or the
            file does not hold a problem.
        StoreError: If the page cannot be written.
    """
    chosen = problems.named_or_read(problem, mdp_file)
    answer = theory.explain(alpha, c, chosen)
    page = None if out is None else write_page(out, alpha, c, chosen, answer.text)
    return TheoryResult(answer.text, answer.numbers, page)


def write_page(out: str | Path, alpha: float, c: float, problem: theory.LinearTD | str | None, text: str) -> Path:
    """Write the page of an explanation and return its path.

    Args:
        out: File of the page.
        alpha: The step size α of the Q-network.
        c: The weight of the old target.
        problem: What was explained: a problem, the name of one, or None, for which the page shows `only_target`.
        text: The explanation.

    Raises:
        StoreError: The page cannot be written.
    """
    name = "your problem" if isinstance(problem, theory.LinearTD) else problem or "only_target"
    shown = problem if isinstance(problem, theory.LinearTD) else problems.by_name(name)
    path = Path(out)
    files.write_file(path, render(alpha, c, shown, name, text).encode())
    return path


def render(alpha: float, c: float, problem: theory.LinearTD, name: str, text: str) -> str:
    """Return the complete page as HTML: a heading, the answer's text, and four figures with a caption each.

    Args:
        alpha: The step size α of the Q-network.
        c: The weight of the old target.
        problem: The problem of the third and the fourth figure.
        name: The problem's name.
        text: The answer.
    """
    sections = (
        ("What has arrived in the target", "The share of a step that T holds, by its age in gradient steps, and the"
         " mean share for hard copies of the same lag.", ledger_figure(c)),
        ("What the filter passes", "Gain from Q to T by angular frequency. The marked point halves the power.",
         response_figure(c)),
        (f"Where it is stable: {name}", "Growth (ρ − 1)/α per unit of step. Blue converges and red diverges. The dots"
         " are the exact boundary and the diamond is this pair. Blank: c would be negative.",
         map_figure(alpha, c, problem)),
        ("Rate against noise", noise_caption(alpha, problem, name), noise_figure(alpha, c, problem)),
    )  # fmt: skip
    body = "".join(
        f"<section><h2>{html.escape(title)}</h2><p>{html.escape(caption)}</p>{_div(figure)}</section>"
        for title, caption, figure in sections
    )
    title = f"α = {alpha:g}, c = {c:.6g}"
    return _PAGE.format(title=title, text=html.escape(text), body=body, plotly=plotly.offline.get_plotlyjs())


def ledger_figure(c: float) -> go.Figure:
    """Return the weights 1 − c^age of past steps in T, and the mean share for hard copies of the same lag."""
    update = TargetUpdate.from_c(c)
    period = update.lag_matched_period()
    horizon = int(np.ceil(max(10.0, 3 * update.mean_lag)))
    ages = np.unique(np.linspace(1, horizon, min(horizon, 300)).astype(int))
    figure = _figure("age of the step (gradient steps)", "share in T")
    weights = theory.ledger_weights(c, horizon)[::-1]
    figure.add_scatter(x=ages, y=weights[ages - 1], name=f"soft, c = {c:.6g}", line_color=SOFT)
    copied = np.minimum(ages / period, 1.0)
    figure.add_scatter(x=ages, y=copied, name=f"hard, every {period} (mean)", line={"color": HARD, "dash": "dot"})
    figure.add_vline(x=max(update.half_life, 1e-9), line_dash="dash", annotation_text="half-life")
    return figure


def response_figure(c: float) -> go.Figure:
    """Return |H| in decibels over log ω, with the half-power point marked if there is one."""
    update = TargetUpdate.from_c(c)
    low = 1e-2 * (update.cutoff or 1.0)
    omega = np.geomspace(low, np.pi, 300)
    figure = _figure("angular frequency (radians per gradient step)", "gain (dB)")
    gain = 20 * np.log10(np.abs(theory.frequency_response(c, omega)))
    figure.add_scatter(x=omega, y=gain, name="|H|", line_color=SOFT)
    figure.update_xaxes(**log_axis(low, np.pi))
    if update.cutoff is not None:
        half = 10 * np.log10(0.5)
        figure.add_scatter(x=[update.cutoff], y=[half], name="half power", mode="markers", marker=_diamond(SOFT))
    return figure


def map_figure(alpha: float, c: float, problem: theory.LinearTD) -> go.Figure:
    """Return (ρ − 1)/α over α and κ = (1−c)/α, with the exact ends of the stability windows as the boundary."""
    alphas, kappas = _map_axes(alpha, c, problem)
    shares = alphas * kappas[:, None]
    inside = shares <= 1
    rho = problem.spectral_radius(np.broadcast_to(alphas, shares.shape), np.clip(1 - shares, 0, None))
    height = np.where(inside, (rho - 1) / alphas, np.nan)
    limit = float(np.nanquantile(np.abs(height), 0.8))
    figure = _figure("α", "κ = (1−c)/α")
    figure.add_heatmap(
        x=alphas, y=kappas, z=height, colorscale="RdBu_r", zmid=0, zmin=-limit, zmax=limit,
        colorbar_title="(ρ−1)/α", hovertemplate="α %{x:.3g}<br>κ %{y:.3g}<br>%{z:.3g}<extra></extra>",
    )  # fmt: skip
    ends = [(a, (1 - end) / a) for a in alphas[::3] for pair in problem.stable_c(a) for end in pair if 0 < end < 1]
    if ends:
        x, y = np.array(ends).T
        figure.add_scatter(x=x, y=y, mode="markers", name="exact boundary", marker={"color": LIGHT_INK, "size": 4})
    figure.add_scatter(x=[alpha], y=[(1 - c) / alpha], mode="markers", name="this pair", marker=_diamond("#ffd400"))
    figure.update_xaxes(**log_axis(*alphas[[0, -1]].tolist()))
    return figure.update_yaxes(**log_axis(*kappas[[0, -1]].tolist()))


def _map_axes(alpha: float, c: float, problem: theory.LinearTD) -> tuple[np.ndarray, np.ndarray]:
    """Return ranges of α and κ that contain the pair and the problem's own scales."""
    scale = float(np.abs(np.linalg.eigvals(problem.B)).max())
    kappa = (1 - c) / alpha
    alphas = np.geomspace(min(1e-4 / scale, alpha / 3), max(3 / scale, alpha * 3), MAP_SIZE)
    kappas = np.geomspace(min(1e-3 * scale, kappa / 3), max(1e2 * scale, kappa * 3), MAP_SIZE)
    return alphas, kappas


def noise_problem(alpha: float, problem: theory.LinearTD) -> theory.LinearTD:
    """Return the problem itself if it is stable at c = 0, otherwise one dimension with a = .9 and b = 1."""
    stable = problem.spectral_radius(alpha, 0) < 1
    return problem if stable else theory.LinearTD.scalar(0.9, 1.0)


def noise_caption(alpha: float, problem: theory.LinearTD, name: str) -> str:
    """Return what the fourth figure shows."""
    shown = name if noise_problem(alpha, problem) is problem else "one dimension, a = .9, b = 1"
    return (
        f"Decay per step against stationary variance under step noise of unit variance ({shown}). The curves are single"
        " networks at every α, and Q and T for this α at every c. The diamonds are this pair."
    )


def noise_figure(alpha: float, c: float, problem: theory.LinearTD) -> go.Figure:
    """Return 1 − ρ against the trace of the covariance, for single networks at every α′ and for Q and T at every c."""
    chosen = noise_problem(alpha, problem)
    figure = _figure("decay per step, 1 − ρ", "variance (trace)")
    single = [_point(chosen, a, 0.0) for a in np.geomspace(1e-3 * alpha, alpha, 60)]
    pairs = [_point(chosen, alpha, weight) for weight in 1 - np.geomspace(1e-3, 1.0, 60)]
    lines = (("single networks", single, 1, SINGLE), ("T", pairs, 1, SOFT), ("Q", pairs, 2, ONLINE))
    for name, points, column, colour in lines:
        stable = np.array([p for p in points if p is not None]).reshape(-1, 3)
        figure.add_scatter(x=stable[:, 0], y=stable[:, column], name=name, line_color=colour)
    pair = _point(chosen, alpha, c)
    if pair is not None:
        marks = {"mode": "markers", "showlegend": False}
        figure.add_scatter(x=[pair[0]], y=[pair[1]], marker=_diamond(SOFT), name="T, this pair", **marks)
        figure.add_scatter(x=[pair[0]], y=[pair[2]], marker=_diamond(ONLINE), name="Q, this pair", **marks)
    for letter, update_axis in (("x", figure.update_xaxes), ("y", figure.update_yaxes)):
        drawn = [np.asarray(trace[letter], float) for trace in figure.data if trace[letter] is not None]
        values = np.concatenate(drawn)
        known = values[np.isfinite(values) & (values > 0)]
        update_axis(**(log_axis(known.min() / 1.5, known.max() * 1.5) if known.size else {"type": "log"}))
    return figure


def _point(problem: theory.LinearTD, alpha: float, c: float) -> tuple[float, float, float] | None:
    """Return decay, variance of T and variance of Q at a pair, or None if it is unstable."""
    rho = problem.spectral_radius(alpha, c)
    if not rho < 1:
        return None
    covariance = problem.stationary_covariance(alpha, c)
    return 1 - rho, float(np.trace(covariance.T)), float(np.trace(covariance.Q))


def _figure(x: str, y: str) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=420, margin={"l": 70, "r": 20, "t": 20, "b": 60}, paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)", font={"color": "#6b7688"}, legend={"orientation": "h", "y": 1.12},
        xaxis_title=x, yaxis_title=y,
    )  # fmt: skip
    axis = {"gridcolor": "rgba(128,140,160,.25)", "zeroline": False}
    return figure.update_xaxes(**axis).update_yaxes(**axis)


def _diamond(colour: str) -> dict[str, Any]:
    return {"symbol": "diamond", "size": 13, "color": colour, "line": {"color": LIGHT_INK, "width": 1}}


def _div(figure: go.Figure) -> str:
    return str(
        figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True})
    )


_STYLE = f"""body{{margin:0 auto;max-width:60rem;padding:1rem;font:16px/1.5 system-ui,sans-serif;
background:{LIGHT_GROUND};color:{LIGHT_INK}}} pre{{white-space:pre-wrap;font-size:.9rem}} h1,h2{{font-weight:600}}
@media(prefers-color-scheme:dark){{body{{background:{DARK_GROUND};color:{DARK_INK}}}}}"""
_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>softstep theory: {title}</title>'
    '<meta name="viewport" content="width=device-width,initial-scale=1"><style>'
    + _STYLE.replace("{", "{{").replace("}", "}}")
    + "</style><script>{plotly}</script></head><body><h1>Soft update, or just a smaller step? {title}</h1>"
    "<pre>{text}</pre>{body}</body></html>\n"
)
