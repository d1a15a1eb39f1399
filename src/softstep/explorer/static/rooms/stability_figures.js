// The three figures of the stability room, built from the endpoints' answers.

import { formatNumber } from "../dom.js";

const DECADES = [1, 0.1, 0.01, 0.001, 0.0001];

/** Growth over (α, 1−c): blue converges, orange diverges; the exact boundary is a line. */
export function map(answer, colours) {
  const colorscale = [[0, colours.target], [0.25, mixed(colours.target, colours.ground, 0.55)], [0.5, colours.ground],
    [0.75, mixed(colours.single, colours.ground, 0.55)], [1, colours.single]];
  const heat = { type: "heatmap", name: "growth", showlegend: false, x: answer.alpha, y: answer.share, z: answer.shade,
    colorscale, zmin: -1, zmax: 1, zsmooth: "best", hoverinfo: "skip",
    colorbar: { title: { text: "ρ", side: "top" }, tickvals: answer.ticks.shade, ticktext: answer.ticks.text,
      thickness: 12, outlinewidth: 0, len: 0.95, tickfont: { color: colours.quiet } } };
  const lines = answer.boundary.map((line, i) => ({ name: "exact boundary, ρ = 1", showlegend: i === 0, x: line.alpha,
    y: line.share, mode: "lines", line: { color: colours.ink, width: 2 }, hoverinfo: "skip" }));
  return {
    traces: [heat, ...lines],
    layout: {
      margin: { l: 62, r: 8, t: 10, b: 44 },
      xaxis: { type: "log", title: { text: "α, step size" }, range: [-3, 1], showgrid: false, tickvals: [0.001, 0.01, 0.1, 1, 10],
        ticktext: ["0.001", "0.01", "0.1", "1", "10"] },
      yaxis: { type: "log", title: { text: "c   (slower target ↓)" }, range: [-4, 0], showgrid: false,
        tickvals: DECADES, ticktext: ["0", "0.9", "0.99", "0.999", "0.9999"] },
    },
    label: "Map of growth per step over α and c; blue converges, orange diverges.",
  };
}

/** Mix two colours #rrggbb; `share` is the share of the first. */
function mixed(first, second, share) {
  const channel = (colour, i) => parseInt(colour.slice(i, i + 2), 16);
  return `rgb(${[1, 3, 5].map((i) => Math.round(share * channel(first, i) + (1 - share) * channel(second, i))).join(",")})`;
}

/** Distances of Q, T and the single network from the solution, on a logarithmic axis. */
export function trajectory(point, colours) {
  const line = (name, label, color, style = {}) => ({ name: label, x: point.t, y: point[name],
    mode: "lines", line: { color, width: 2, ...style }, hovertemplate: `step %{x}: %{y:.4g}<extra>${label}</extra>` });
  return {
    traces: [line("X", "one network at (1−c)α", colours.single), line("Q", "Q", colours.online), line("T", "T", colours.target),
      line("trend", "the trend ρᵗ", colours.quiet, { dash: "dot", width: 1.5 })],
    layout: { xaxis: { title: { text: "gradient steps" } }, yaxis: { type: "log", title: { text: "distance" } } },
    label: `Distance from the solution over steps; growth per step ${formatNumber(point.rho, 6)}.`,
  };
}

/** Eigenvalues of the iteration matrices of the two networks and of the single network, with the unit circle. */
export function eigenvalues(point, colours) {
  const markers = (list, name, color, symbol, size) => ({ name, x: list.map(([re]) => re), y: list.map(([, im]) => im),
    mode: "markers", marker: { color, symbol, size, line: { color: colours.ground, width: 1 } },
    hovertemplate: "%{x:.5g} %{y:+.5g} i<extra></extra>" });
  const moduli = point.eigenvalues.concat(point.eigenvalues_single).map(([re, im]) => Math.hypot(re, im));
  const reach = Math.min(40, Math.max(1.2, ...moduli.map((modulus) => 1.1 * modulus)));
  return {
    traces: [markers(point.eigenvalues, "two networks", colours.target, "circle", 11),
      markers(point.eigenvalues_single, "one network at (1−c)α", colours.single, "diamond", 9)],
    layout: {
      xaxis: { title: { text: "real part" }, range: [-reach, reach], constrain: "domain" },
      yaxis: { title: { text: "imaginary part" }, range: [-reach, reach], scaleanchor: "x", constrain: "domain" },
      shapes: [{ type: "circle", x0: -1, x1: 1, y0: -1, y1: 1, line: { color: colours.ink, width: 1.5 } }],
    },
    label: `Eigenvalues; the largest modulus is ${formatNumber(point.rho, 6)}.`,
  };
}
