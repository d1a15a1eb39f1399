// Pictures: plotly in the page's colours, light and dark, each with its data to take away.

import { el, save } from "./dom.js";
import { palette } from "./palette.js";

const ready = new Promise((resolve) => {
  if (window.Plotly) resolve(window.Plotly);
  else document.getElementById("plotly").addEventListener("load", () => resolve(window.Plotly));
});

let turn = ready;

/** First pictures one after another, each shown before the next is begun. */
function inTurn(paint) {
  const shown = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  turn = turn.then(() => paint().catch(reportError)).then(shown);
}

/** The colours of this moment: those of the arms, and the page's own. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  const page = Object.fromEntries(["ground", "ink", "quiet", "line", "grid", "panel"].map((name) => [name, of(name)]));
  return { ...palette.roles, ...page };
}

/** A colour #rrggbb at some opacity. */
export function tint(colour, opacity) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  return `rgba(${r},${g},${b},${opacity})`;
}

function dressed(layout, ink) {
  const axis = {
    gridcolor: ink.grid, linecolor: ink.line, tickcolor: ink.line, zeroline: false, fixedrange: true,
    automargin: true, exponentformat: "power",
  };
  const dress = (own = {}) => ({ ...axis, ...own, title: { standoff: 8, ...(own.title ?? {}) } });
  return {
    uirevision: "stay", autosize: true, dragmode: false, showlegend: false, paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)", font: { family: "system-ui, sans-serif", size: 13, color: ink.quiet },
    hoverlabel: { bgcolor: ink.panel, bordercolor: ink.line, font: { color: ink.ink }, align: "left" },
    margin: { l: 52, r: 14, t: 10, b: 44 },
    ...layout,
    xaxis: dress(layout.xaxis),
    yaxis: dress(layout.yaxis),
  };
}

/** One figure with a heading, a sentence, and buttons for SVG, PNG and CSV. */
export class Picture {
  /** id: of the plot's element; title, note: plain text; kind: a class that sets its height. */
  constructor(parent, { id, title, note = "", kind = "" }) {
    this.id = id;
    this.plot = el("div", { id, class: `plot ${kind}`, role: "img", "aria-label": title });
    this.note = el("p", { class: "note" }, note);
    this.keys = el("ul", { class: "keys" });
    const button = (text, what, action) =>
      el("button", { type: "button", class: "small", "aria-label": `Save ${title} as ${what}`, onclick: action }, text);
    this.element = el("figure", { class: "picture" },
      el("figcaption", {}, el("h2", {}, title),
        el("div", { class: "tools" },
          button("SVG", "SVG", () => this.image("svg")),
          button("PNG", "PNG", () => this.image("png")),
          button("CSV", "CSV", () => save(`${id}.csv`, csv(this.plot.data ?? []), "text/csv")))),
      this.note, this.keys, this.frame = el("div", { class: "frame" }, this.plot));
    parent.append(this.element);
    this.redraw = () => {
      this.painted = null;
      if (this.build) this.draw(this.build);
    };
    document.addEventListener("softstep:theme", this.redraw);
  }

  /** build(colours) gives { traces, layout, label }; it is asked again when the theme changes. */
  draw(build) {
    this.build = build;
    clearTimeout(this.later);
    if (!this.plot.data) inTurn(() => this.paint());
    else if (this.inSight()) requestAnimationFrame(() => this.paint());
    else this.later = setTimeout(() => this.paint(), 120); // what is in sight comes first while a finger moves
  }

  inSight() {
    const { top, bottom } = this.plot.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  }

  async paint() {
    const plotly = await ready;
    if (!this.plot.isConnected || this.painted === this.build) return;
    this.painted = this.build;
    const ink = colours();
    const { traces, layout = {}, label } = this.build(ink);
    await plotly.react(this.plot, traces, dressed(layout, ink), { displayModeBar: false, responsive: true });
    if (!performance.getEntriesByName("first-figure").length) performance.mark("first-figure");
    if (label) this.plot.setAttribute("aria-label", label);
    this.legend(traces);
    this.drawn?.();
  }

  /** Keys beside the heading instead of a legend in the plot: they wrap on a phone, and are text. */
  legend(traces) {
    const keys = traces.filter((trace) => trace.name && trace.showlegend !== false);
    const text = keys.map((trace) => trace.name + (trace.line?.color ?? trace.marker?.color)).join();
    if (text === this.legendText) return;
    this.legendText = text;
    this.keys.replaceChildren(...keys.map((trace) => {
      const swatch = el("span", { class: `swatch ${trace.meta ?? ""}`, "aria-hidden": "true" });
      swatch.style.setProperty("--swatch", trace.line?.color ?? trace.marker?.color);
      return el("li", {}, swatch, trace.name);
    }));
  }

  async image(format) {
    const plotly = await ready;
    const { width, height } = this.plot.getBoundingClientRect();
    const solid = { ...this.plot.layout, paper_bgcolor: colours().ground };
    const figure = { data: this.plot.data, layout: solid };
    const url = await plotly.toImage(figure, { format, width, height, scale: format === "png" ? 2 : 1 });
    const blob = format === "svg"
      ? new Blob([decodeURIComponent(url.slice(url.indexOf(",") + 1))], { type: "image/svg+xml" })
      : new Blob([Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (c) => c.charCodeAt(0))], { type: "image/png" });
    save(`${this.id}.${format}`, blob);
  }

  remove() {
    document.removeEventListener("softstep:theme", this.redraw);
    if (window.Plotly && this.plot.data) window.Plotly.purge(this.plot);
  }
}

/** Every trace as lines of series, x, y (and z for a map). */
export function csv(traces) {
  const cell = (value) => {
    const text = String(value ?? "");
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [["series", "x", "y", "z"]];
  for (const trace of traces) {
    const name = trace.name ?? trace.type;
    if (trace.z) trace.z.forEach((row, j) => row.forEach((z, i) => lines.push([name, trace.x[i], trace.y[j], z])));
    else Array.from(trace.x ?? []).forEach((x, i) => lines.push([name, x, trace.y[i], ""]));
  }
  return lines.map((line) => line.map(cell).join(",")).join("\n") + "\n";
}

/** The place in the plot of a pointer: { x, y } in the axes' own units (logarithms undone), or null outside. */
export function placeOf(plot, event) {
  const full = plot._fullLayout;
  if (!full) return null;
  const box = plot.getBoundingClientRect();
  const px = event.clientX - box.left - full._size.l;
  const py = event.clientY - box.top - full._size.t;
  const inside = px >= 0 && py >= 0 && px <= full._size.w && py <= full._size.h;
  return { x: full.xaxis.p2d(px), y: full.yaxis.p2d(py), inside };
}

/** Where a point of the plot lies in its frame, in pixels. */
export function pixelsOf(plot, x, y) {
  const full = plot._fullLayout;
  if (!full) return null;
  return { left: full._size.l + full.xaxis.d2p(x), top: full._size.t + full.yaxis.d2p(y), size: full._size };
}
