// Moving lines of a live run: returns, how far Q and T are apart, and how far y moves in one update.

import { el } from "../dom.js";
import { Picture } from "../figures.js";

const CHARTS = [
  { id: "live-return", column: "train_return", title: "Return", log: false,
    note: "Mean of the last 100 training episodes (of all, while fewer)." },
  { id: "live-gap", column: "target_gap", title: "How far T is behind: ‖Q − T‖", log: true,
    note: "Zero without a target network, so not drawn there." },
  { id: "live-drift", column: "y_drift", title: "How far y moves in one update", log: true,
    note: "Mean |Δy| over a minibatch: what the target network is for." },
];
const MOST_POINTS = 1500;
const PERIOD = 400;

export class LiveCharts {
  constructor(parent) {
    const pair = parent.appendChild(el("div", { class: "pair" }));
    this.pictures = CHARTS.map((chart) => new Picture(pair, chart));
    this.begin([]);
  }

  /** Arms with name, words and colour. */
  begin(arms) {
    this.arms = arms;
    this.clear();
  }

  clear() {
    this.rows = new Map(this.arms.map(({ name }) => [name, []]));
    this.marks = [];
    this.draw();
  }

  add(rows) {
    for (const row of rows) this.rows.get(row.arm)?.push(row);
    for (const [name, kept] of this.rows)
      if (kept.length > 2 * MOST_POINTS) this.rows.set(name, kept.filter((_, i) => i % 2 || i > kept.length - MOST_POINTS));
    this.drawSoon();
  }

  /** A slider's move: a line where it took effect. */
  mark({ env_steps: at, arm }) {
    if (at > 0) this.marks = [...this.marks.slice(-200), { at, arm }];
    this.drawSoon();
  }

  drawSoon() {
    if (this.timer) return;
    this.timer = setTimeout(() => { this.timer = 0; this.draw(); }, PERIOD);
  }

  draw() {
    this.pictures.forEach((picture, i) => picture.draw(() => this.figure(CHARTS[i])));
  }

  figure({ column, log, title }) {
    const traces = this.arms.map(({ name, words, colour }) => {
      const rows = this.rows.get(name).filter((row) => row[column] !== null && (!log || row[column] > 0));
      return { type: "scatter", mode: "lines", name: words, x: rows.map((row) => row.env_steps),
        y: rows.map((row) => row[column]), line: { color: colour, width: 2 } };
    });
    const colours = new Map(this.arms.map(({ name, colour }) => [name, colour]));
    const shapes = this.marks.map(({ at, arm }) => ({ type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1,
      line: { color: colours.get(arm), width: 1, dash: "dot" } }));
    const layout = { xaxis: { title: { text: "environment steps" }, rangemode: "tozero", tickformat: "~s" },
      yaxis: log ? { type: "log", dtick: "D2" } : {}, shapes, uirevision: undefined };
    return { traces, layout, label: `${title} over environment steps, a line for each arm` };
  }

  remove() {
    clearTimeout(this.timer);
    this.pictures.forEach((picture) => picture.remove());
  }
}
