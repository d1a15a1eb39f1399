// Figures: plotly in the page's light or dark colours, with buttons that save the image and its data.

import { el, saveFile } from "./dom.js";
import { logTicks } from "./log_ticks.js";
import { palette } from "./palette.js";

const OFFSCREEN_DELAY = 120; // milliseconds after which figures outside the window are redrawn
const TYPE = 13; // pixels: the size of type for which the lengths below and those of the rooms' figures are meant
const LABEL_WIDTH = 65, LABEL_HEIGHT = 32, MOST_LABELS = 7; // pixels for a label of an axis; the most on the vertical one
const COLOUR_BAR_WIDTH = 90, TICK_WIDTH = 60; // pixels beside the axes
const MARGIN = { l: 52, r: 14, t: 10, b: 44 };
const LETTER_WIDTH = 0.65; // width of an average letter of an axis's title, in sizes of the plot's type
const SLIDE = { width: 1280, height: 720 }, SLIDE_TYPE = 20; // pixels of a saved image

const plotlyReady = new Promise((resolve) => {
  if (window.Plotly) resolve(window.Plotly);
  else document.getElementById("plotly").addEventListener("load", () => resolve(window.Plotly));
});

let paintQueue = plotlyReady;

/** Paint figures for the first time one after another, each visible before the next one starts. */
function paintInTurn(paint) {
  const visible = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  paintQueue = paintQueue.then(() => paint().catch(reportError)).then(visible);
}

/** The current colours: those of the lines, by role, and those of the page in its light or dark theme. */
export function currentColours() {
  const style = getComputedStyle(document.documentElement);
  const variable = (name) => style.getPropertyValue(`--${name}`).trim();
  const page = Object.fromEntries(["ground", "ink", "quiet", "line", "grid", "panel"].map((name) => [name, variable(name)]));
  return { ...palette.roles, ...page };
}

/** A colour #rrggbb with an opacity. */
export function withOpacity(colour, opacity) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  return `rgba(${r},${g},${b},${opacity})`;
}

/** Round ticks for a logarithmic axis without any, from its range or else from the traces; `letter` is x or y. */
function ticksOf(letter, axis, traces, most) {
  if (axis?.type !== "log" || axis.tickvals) return {};
  const values = axis.range ? axis.range.map((end) => 10 ** end)
    : traces.flatMap((trace) => Array.from(trace[letter] ?? [])).filter((value) => value > 0);
  const low = values.reduce((a, b) => Math.min(a, b), Infinity), high = values.reduce((a, b) => Math.max(a, b), 0);
  return low < high ? logTicks(low, high, most) : {};
}

/** Draw the lines and markers of a trace, or of a part of it, larger by a factor. */
function enlarged(factor, part) {
  const larger = { ...part };
  for (const length of ["width", "size"]) if (typeof part[length] === "number") larger[length] = factor * part[length];
  for (const inner of ["line", "marker"]) if (part[inner]) larger[inner] = enlarged(factor, part[inner]);
  return larger;
}

/** A title on two lines if it is too long for one of some pixels, by the usual width of a letter. */
function wrapped(text, width, type) {
  if (text.length * LETTER_WIDTH * type <= width) return text;
  const spaces = [...text.matchAll(/ /g)].map(({ index }) => index);
  const middle = spaces.reduce((best, index) => (Math.abs(index - text.length / 2) < Math.abs(best - text.length / 2) ? index : best), 0);
  return middle ? `${text.slice(0, middle)}<br>${text.slice(middle + 1)}` : text;
}

/** A figure's layout with the page's style added, for a plot of that size and type, in pixels. */
function styledLayout(layout, colours, traces, { width, height, type }) {
  const factor = type / TYPE;
  const axisStyle = {
    gridcolor: colours.grid, linecolor: colours.line, tickcolor: colours.line, zeroline: false, fixedrange: true,
    automargin: true, exponentformat: "power",
  };
  const axisWidth = traces.some((trace) => trace.colorbar) ? width - factor * COLOUR_BAR_WIDTH : width;
  const most = { x: Math.max(3, Math.floor(axisWidth / (factor * LABEL_WIDTH))), y: Math.max(3, Math.min(MOST_LABELS, Math.floor(height / (factor * LABEL_HEIGHT)))) };
  const lengths = { x: axisWidth - factor * TICK_WIDTH, y: height - factor * TICK_WIDTH };
  const styledAxis = (letter, { title = { text: "" }, ...axis } = {}) => ({ ...axisStyle, ...ticksOf(letter, axis, traces, most[letter]), ...axis,
    title: { standoff: 8 * factor, ...title, text: wrapped(title.text, lengths[letter], type) } });
  return {
    uirevision: "stay", autosize: true, dragmode: false, showlegend: false, paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)", font: { family: "system-ui, sans-serif", size: type, color: colours.quiet },
    hoverlabel: { bgcolor: colours.panel, bordercolor: colours.line, font: { color: colours.ink, size: type }, align: "left" },
    ...layout,
    margin: Object.fromEntries(Object.entries({ ...MARGIN, ...layout.margin }).map(([side, pixels]) => [side, factor * pixels])),
    xaxis: styledAxis("x", layout.xaxis),
    yaxis: styledAxis("y", layout.yaxis),
  };
}

/** A plot with a heading, a note, a legend, and buttons for SVG, PNG and CSV. */
export class Figure {
  /** `id` is that of the plot's element; `title` and `note` are plain text; `kind` is a CSS class that sets the height. */
  constructor(parent, { id, title, note = "", kind = "" }) {
    this.id = id;
    this.title = title;
    this.plot = el("div", { id, class: `plot ${kind}`, role: "img", "aria-label": title });
    this.note = el("p", { class: "note" }, note);
    this.legend = el("ul", { class: "legend" });
    const button = (format, action) =>
      el("button", { type: "button", class: "small", "aria-label": `Save ${title} as ${format}`, onclick: action }, format);
    this.element = el("figure", { class: "figure" },
      el("figcaption", {}, el("h2", {}, title),
        el("div", { class: "tools" },
          button("SVG", () => this.saveImage("svg")),
          button("PNG", () => this.saveImage("png")),
          button("CSV", () => saveFile(`${id}.csv`, csv(this.table ?? tableOf(this.plot.data ?? [])), "text/csv")))),
      this.note, this.legend, this.frame = el("div", { class: "frame" }, this.plot));
    parent.append(this.element);
    this.redraw = () => {
      this.painted = null;
      if (this.build) this.draw(this.build);
    };
    document.addEventListener("softstep:theme", this.redraw);
    this.resizeObserver = new ResizeObserver(() => { if (this.isOutgrown()) this.redraw(); });
    this.resizeObserver.observe(this.plot);
  }

  /**
   * Draw what `build(colours, space)` returns: { traces, layout, label, table }. `space` has width, height and type of the
   * plot, in pixels. It is called again when the theme or the plot's size changes; a plot that is not shown waits for that.
   * `table` has the rows of the CSV file, the first with the names of the columns; without it they come from the traces.
   */
  draw(build) {
    this.build = build;
    clearTimeout(this.paintTimer);
    if (!this.plot.data) paintInTurn(() => this.paint());
    else if (this.isInView()) requestAnimationFrame(() => this.paint());
    else this.paintTimer = setTimeout(() => this.paint(), OFFSCREEN_DELAY); // figures in view first, while a slider moves
  }

  /** Whether the plot was painted for another size, or not at all because it had none. */
  isOutgrown() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    return width > 0 && (width !== this.space?.width || height !== this.space?.height);
  }

  isInView() {
    const { top, bottom } = this.plot.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  }

  async paint() {
    const plotly = await plotlyReady;
    if (!this.plot.clientWidth || this.painted === this.build) return;
    this.painted = this.build;
    this.space = { width: this.plot.clientWidth, height: this.plot.clientHeight, type: parseFloat(getComputedStyle(this.plot).fontSize) };
    const colours = currentColours();
    const { traces, layout = {}, label, table } = this.build(colours, this.space);
    this.table = table;
    await plotly.react(this.plot, traces.map((trace) => enlarged(this.space.type / TYPE, trace)), styledLayout(layout, colours, traces, this.space), { displayModeBar: false });
    if (!performance.getEntriesByName("first-figure").length) performance.mark("first-figure");
    if (label) this.plot.setAttribute("aria-label", label);
    this.updateLegend(traces);
    this.onPaint?.();
  }

  /** Write the legend as a list outside the plot: there it wraps on a phone, and screen readers can read it. */
  updateLegend(traces) {
    const named = traces.filter((trace) => trace.name && trace.showlegend !== false);
    const text = named.map((trace) => trace.name + (trace.line?.color ?? trace.marker?.color)).join();
    if (text === this.legendText) return;
    this.legendText = text;
    this.legend.replaceChildren(...named.map((trace) => {
      const swatch = el("span", { class: `swatch ${trace.meta ?? ""}`, "aria-hidden": "true" });
      swatch.style.setProperty("--swatch", trace.line?.color ?? trace.marker?.color);
      return el("li", {}, swatch, trace.name);
    }));
  }

  /** Save the figure as a slide: with its title and legend, and in large type. */
  async saveImage(format) {
    const plotly = await plotlyReady;
    const { ground, ink } = currentColours();
    const { layout, data } = this.plot;
    const slide = { ...layout, ...SLIDE, paper_bgcolor: ground, font: { ...layout.font, size: SLIDE_TYPE }, showlegend: true,
      title: { text: this.title, x: 0.02, xanchor: "left", y: 0.96, yanchor: "top", font: { size: 1.4 * SLIDE_TYPE, color: ink } },
      legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom" }, margin: { ...layout.margin, t: 130 } };
    for (const axis of ["xaxis", "yaxis"]) slide[axis] = { ...layout[axis], title: { ...layout[axis]?.title, standoff: SLIDE_TYPE } };
    const scale = format === "png" ? 2 : 1;
    const url = await plotly.toImage({ data, layout: slide }, { format, ...SLIDE, scale });
    const content = url.slice(url.indexOf(",") + 1);
    const blob = format === "svg"
      ? new Blob([decodeURIComponent(content)], { type: "image/svg+xml" })
      : new Blob([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], { type: "image/png" });
    saveFile(`${this.id}.${format}`, blob);
  }

  remove() {
    document.removeEventListener("softstep:theme", this.redraw);
    this.resizeObserver.disconnect();
    if (window.Plotly && this.plot.data) window.Plotly.purge(this.plot);
  }
}

/** Rows as CSV. */
function csv(rows) {
  const cell = (value) => {
    const text = String(value ?? "");
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

/** All traces as rows with the columns series, x, y, z; z is filled for maps only. */
function tableOf(traces) {
  const lines = [["series", "x", "y", "z"]];
  for (const trace of traces) {
    const name = trace.name ?? trace.type;
    if (trace.z) trace.z.forEach((row, j) => row.forEach((z, i) => lines.push([name, trace.x[i], trace.y[j], z])));
    else Array.from(trace.x ?? []).forEach((x, i) => lines.push([name, x, trace.y[i], ""]));
  }
  return lines;
}

/** Position of a pointer event in the axes' units (not logarithms), and whether it is inside the axes. */
export function dataPoint(plot, event) {
  const full = plot._fullLayout;
  if (!full) return null;
  const box = plot.getBoundingClientRect();
  const px = event.clientX - box.left - full._size.l;
  const py = event.clientY - box.top - full._size.t;
  const inside = px >= 0 && py >= 0 && px <= full._size.w && py <= full._size.h;
  return { x: full.xaxis.p2d(px), y: full.yaxis.p2d(py), inside };
}

/** Position of a data point in the plot's frame, in pixels, with the size of the axes. */
export function pixelPosition(plot, x, y) {
  const full = plot._fullLayout;
  if (!full) return null;
  return { left: full._size.l + full.xaxis.d2p(x), top: full._size.t + full.yaxis.d2p(y), size: full._size };
}
