// Charts of a live run: returns, the distance between Q and T, and the change of y in one update.

import { el } from "../dom.js";
import { Figure } from "../figures.js";

const CHARTS = [
  { id: "live-return", column: "train_return", title: "Return", y: "return", log: false,
    note: "Mean of the last 100 training episodes, or of all if there are fewer; it lags behind the mean of 20 above." },
  { id: "live-gap", column: "target_gap", title: "Distance between Q and T", y: "‖Q − T‖", log: true,
    note: "Over all parameters, of an actor and its critics over the critics'. Zero without a target network, so no line is drawn then." },
  { id: "live-drift", column: "y_drift", title: "How far y moves in one update", y: "mean |Δy|, in units of return", log: true,
    note: "Mean over the TD targets y of a minibatch. With a target network they move less; so they do with a small α. " +
      "Where there is an actor, its steps move them as well." },
];
const MAX_POINTS = 1500; // the older half of a line is thinned out when it has twice as many
const MAX_MARKS = 200;
const DRAW_PERIOD = 400; // milliseconds

export class LiveCharts {
  constructor(parent) {
    const pair = parent.appendChild(el("div", { class: "pair" }));
    this.figures = CHARTS.map((chart) => new Figure(pair, chart));
    this.setArms([]);
  }

  /** Start over with these arms, each with a name, a label and a colour. */
  setArms(arms) {
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
      if (kept.length > 2 * MAX_POINTS) this.rows.set(name, kept.filter((_, i) => i % 2 || i > kept.length - MAX_POINTS));
    this.drawSoon();
  }

  /** Mark a changed setting with a line at the step at which it took effect. */
  mark({ env_steps: step, arm }) {
    if (step > 0) this.marks = [...this.marks.slice(-MAX_MARKS), { step, arm }];
    this.drawSoon();
  }

  drawSoon() {
    if (this.timer) return;
    this.timer = setTimeout(() => { this.timer = 0; this.draw(); }, DRAW_PERIOD);
  }

  draw() {
    this.figures.forEach((figure, i) => figure.draw(() => this.chart(CHARTS[i])));
  }

  chart({ column, log, title, y }) {
    const traces = this.arms.map(({ name, label, colour }) => {
      const rows = this.rows.get(name).filter((row) => row[column] !== null && (!log || row[column] > 0));
      return { type: "scatter", mode: "lines", name: label, x: rows.map((row) => row.env_steps),
        y: rows.map((row) => row[column]), line: { color: colour, width: 2 } };
    });
    const colours = new Map(this.arms.map(({ name, colour }) => [name, colour]));
    const shapes = this.marks.map(({ step, arm }) => ({ type: "line", x0: step, x1: step, yref: "paper", y0: 0, y1: 1,
      line: { color: colours.get(arm), width: 1, dash: "dot" } }));
    const isEmpty = traces.every(({ x }) => !x.length);
    const xaxis = { title: { text: "environment steps" }, rangemode: "tozero", tickformat: "~s", visible: !isEmpty };
    const yaxis = { title: { text: y }, visible: !isEmpty, ...(log ? { type: "log" } : {}) };
    const annotations = isEmpty ? [{ text: "No numbers yet", xref: "paper", yref: "paper", x: 0.5, y: 0.5, showarrow: false }] : [];
    const layout = { xaxis, yaxis, annotations, shapes: isEmpty ? [] : shapes, uirevision: undefined };
    return { traces, layout, label: `${title} over environment steps, one line per arm.` };
  }

  remove() {
    clearTimeout(this.timer);
    this.figures.forEach((figure) => figure.remove());
  }
}
