// The three pictures of the stability room, from the API's answers.

import { show } from "../dom.js";

const DECADES = [1, 0.1, 0.01, 0.001, 0.0001];

/** Growth over (α, 1−c): blue settles, orange runs away; the exact boundary in ink. */
export function map(field, ink) {
  const colours = [[0, ink.target], [0.25, mixed(ink.target, ink.ground, 0.55)], [0.5, ink.ground],
    [0.75, mixed(ink.single, ink.ground, 0.55)], [1, ink.single]];
  const heat = { type: "heatmap", name: "growth", showlegend: false, x: field.alpha, y: field.share, z: field.shade,
    colorscale: colours, zmin: -1, zmax: 1, zsmooth: "best", hoverinfo: "skip",
    colorbar: { title: { text: "ρ", side: "top" }, tickvals: field.ticks.shade, ticktext: field.ticks.text,
      thickness: 12, outlinewidth: 0, len: 0.95, tickfont: { color: ink.quiet } } };
  const lines = field.boundary.map((line, i) => ({ name: "exact boundary, ρ = 1", showlegend: i === 0, x: line.alpha,
    y: line.share, mode: "lines", line: { color: ink.ink, width: 2 }, hoverinfo: "skip" }));
  return {
    traces: [heat, ...lines],
    layout: {
      margin: { l: 62, r: 8, t: 10, b: 44 },
      xaxis: { type: "log", title: { text: "α, step size" }, range: [-3, 1], showgrid: false, tickvals: [0.001, 0.01, 0.1, 1, 10],
        ticktext: ["0.001", "0.01", "0.1", "1", "10"] },
      yaxis: { type: "log", title: { text: "c   (slower target ↓)" }, range: [-4, 0], showgrid: false,
        tickvals: DECADES, ticktext: ["0", "0.9", "0.99", "0.999", "0.9999"] },
    },
    label: "Map of growth per step over α and c; blue settles, orange runs away.",
  };
}

function mixed(one, other, share) {
  const part = (colour, i) => parseInt(colour.slice(i, i + 2), 16);
  return `rgb(${[1, 3, 5].map((i) => Math.round(share * part(one, i) + (1 - share) * part(other, i))).join(",")})`;
}

/** How far Q, T and the single network are from the goal, on a logarithmic axis. */
export function trajectory(point, ink) {
  const line = (name, label, color, more = {}) => ({ name: label, x: point[name].map((_, t) => t), y: point[name],
    mode: "lines", line: { color, width: 2, ...more }, hovertemplate: `step %{x}: %{y:.4g}<extra>${label}</extra>` });
  return {
    traces: [line("X", "one network at (1−c)α", ink.single), line("Q", "Q", ink.online), line("T", "T", ink.target),
      line("trend", "the trend ρᵗ", ink.quiet, { dash: "dot", width: 1.5 })],
    layout: { xaxis: { title: { text: "gradient steps" } }, yaxis: { type: "log", title: { text: "distance" } } },
    label: `Distance from the goal over steps; growth per step ${show(point.rho, 6)}.`,
  };
}

/** Eigenvalues of the two networks' iteration matrix and of the single network's, around the unit circle. */
export function eigenvalues(point, ink) {
  const marks = (list, name, color, symbol, size) => ({ name, x: list.map(([re]) => re), y: list.map(([, im]) => im),
    mode: "markers", marker: { color, symbol, size, line: { color: ink.ground, width: 1 } },
    hovertemplate: "%{x:.5g} %{y:+.5g} i<extra></extra>" });
  const far = Math.max(1.2, ...point.eigenvalues.concat(point.eigenvalues_single).map(([re, im]) => 1.1 * Math.hypot(re, im)));
  const reach = Math.min(far, 40);
  return {
    traces: [marks(point.eigenvalues, "two networks", ink.target, "circle", 11),
      marks(point.eigenvalues_single, "one network at (1−c)α", ink.single, "diamond", 9)],
    layout: {
      xaxis: { title: { text: "real part" }, range: [-reach, reach], constrain: "domain" },
      yaxis: { title: { text: "imaginary part" }, range: [-reach, reach], scaleanchor: "x", constrain: "domain" },
      shapes: [{ type: "circle", x0: -1, x1: 1, y0: -1, y1: 1, line: { color: ink.ink, width: 1.5 } }],
    },
    label: `Eigenvalues; the largest modulus is ${show(point.rho, 6)}.`,
  };
}
