// Room 2: QN and TQN beside the single network at (1−c)α, one step at a time; the ledger; the filter.

import { Questions } from "../api.js";
import { Panel, PythonBox } from "../controls.js";
import { el, math, show } from "../dom.js";
import { Picture, tint } from "../figures.js";

export const id = "two-networks";
export const title = "Two networks";
export const lead = "Now the step is computed with Q and its target T, and only T is blended. " +
  "T's first update is that of a single network at (1−c)α. From the second on it is something else.";

const ENDPOINT = "two-networks";
const DEFAULTS = { alpha: 0.5, c: 0.9, a: 0.9, b: 1, start: 1, steps: 40, at: 1 };
const SPECS = [
  { kind: "slider", name: "alpha", label: "$α$ step size", scale: "log", min: 0.001, max: 10 },
  { kind: "slider", name: "c", label: "$c$ share of the old target that is kept", scale: "complement", max: 0.999 },
  { kind: "slider", name: "a", label: "$a$ how much of T is in the targets", scale: "linear", min: -2, max: 2 },
  { kind: "slider", name: "b", label: "$b$ how steeply Q is pulled to them", scale: "linear", min: 0.05, max: 3 },
  { kind: "slider", name: "steps", label: "Steps", scale: "linear", min: 4, max: 400, whole: true },
].map((spec) => ({ ...spec, endpoint: ENDPOINT }));

export function mount(container, context) {
  return new TwoNetworks(container, context);
}

class TwoNetworks {
  constructor(container, context) {
    this.context = context;
    this.asked = {};
    this.panel = new Panel(container, SPECS, (name, value) => this.change({ [name]: value }));
    const stage = el("div", { class: "stage" });
    container.append(stage);
    stage.append(el("div", { class: "formulas" }, math("Q_{t+1} = Q_t + α ( a T_t − b Q_t )", true),
      math("T_{t+1} = c T_t + ( 1 − c ) Q_{t+1}", true)));
    this.stepper(stage);
    this.paths = new Picture(stage, { id: "two-networks-paths", title: "Q, T and the single network", kind: "tall",
      note: "All three start at 1. The line marks the step looked at." });
    const pair = stage.appendChild(el("div", { class: "pair" }));
    this.first = new Picture(pair, { id: "two-networks-first", title: "The first steps, close up",
      note: "Equal after the first update, apart from the second." });
    this.ledger = new Picture(pair, { id: "two-networks-ledger", title: "The ledger of T",
      note: "How much of each past step has arrived in T. Every step arrives whole in the end: it is delayed, not shrunk." });
    const trio = stage.appendChild(el("div", { class: "pair trio" }));
    this.twin = new Picture(trio, { id: "two-networks-staircase", title: "The hard-copy twin",
      note: "A target that is copied now and then, with the same mean lag." });
    this.response = new Picture(trio, { id: "two-networks-response", title: "What the target lets through",
      note: "T follows slow changes of Q and mutes fast ones." });
    this.sudden = new Picture(trio, { id: "two-networks-sudden", title: "After a sudden change of Q",
      note: "Half of it has reached T at the half-life; its twin waits, then takes all of it." });
    this.python = new PythonBox(stage);
    this.questions = new Questions({
      [ENDPOINT]: (answer) => { this.answer = answer; this.panel.clear(); this.draw(); },
      ledger: (answer) => { this.book = answer; this.draw(); },
      filter: (answer) => { this.low = answer; this.drawFilter(); },
    }, (parameter, reason) => { this.panel.clear(); this.panel.refuse(parameter, reason); this.stop(); });
    this.update();
  }

  /** Previous, play, next, and what the step looked at says. */
  stepper(stage) {
    const button = (text, label, action) => el("button", { type: "button", "aria-label": label, onclick: action }, text);
    this.playing = button("Play", "Play the steps", () => (this.timer ? this.stop() : this.play()));
    this.where = el("output", { class: "where" });
    this.says = el("p", { class: "readout", id: "two-networks-says", "aria-live": "polite" });
    this.numbers = el("p", { class: "quiet tabular", id: "two-networks-numbers" });
    this.rate = el("p", { class: "quiet", id: "two-networks-rate" });
    const box = el("div", { class: "answer stepper", role: "group", "aria-label": "Step through, also with the arrow keys" },
      el("div", { class: "buttons" }, button("First", "First step", () => this.go(0)),
        button("←", "Previous step", () => this.go(this.state().at - 1)), this.playing,
        button("→", "Next step", () => this.go(this.state().at + 1)), this.where),
      this.says, this.numbers, this.rate);
    box.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (way) { event.preventDefault(); this.go(this.state().at + way); }
    });
    stage.append(box);
  }

  state() {
    return Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, this.context.number(name, value)]));
  }

  go(at) {
    const { steps } = this.state();
    this.change({ at: Math.max(0, Math.min(steps, at)) });
    if (at >= steps) this.stop();
  }

  play() {
    if (this.state().at >= this.state().steps) this.go(0);
    this.timer = setInterval(() => this.go(this.state().at + 1), 700);
    this.playing.textContent = "Pause";
    this.playing.setAttribute("aria-label", "Pause");
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.playing.textContent = "Play";
    this.playing.setAttribute("aria-label", "Play the steps");
  }

  change(patch) {
    this.context.set(patch);
    this.update();
  }

  update() {
    const state = this.state();
    this.panel.show(state);
    const { at, ...values } = state;
    this.askNew(ENDPOINT, values);
    this.askNew("ledger", { c: state.c, at: Math.min(at, state.steps) });
    this.askNew("filter", { c: state.c });
  }

  /** Ask again only where something has changed. */
  askNew(endpoint, values) {
    const text = JSON.stringify(values);
    if (this.asked[endpoint] !== text) this.questions.ask(endpoint, values);
    this.asked[endpoint] = text;
  }

  draw() {
    if (!this.answer || !this.book) return;
    const answer = { ...this.answer, at: Math.min(this.book.at, this.answer.Q.length - 1) };
    this.where.textContent = `step ${answer.at} of ${answer.Q.length - 1}`;
    this.says.textContent = comparedInWords(answer);
    this.numbers.textContent = ["Q", "T", "X"].map((name) => `${name} = ${show(answer[name][answer.at], 7)}`)
      .concat(`T − X = ${show(answer.apart[answer.at], 3)}`).join("    ");
    this.rate.textContent = answer.says;
    this.paths.draw((ink) => paths(answer, ink));
    this.first.draw((ink) => firstSteps(answer, ink));
    this.ledger.draw((ink) => ledger(this.book, ink));
    this.twin.draw((ink) => staircase(answer, ink));
    this.pythonText();
  }

  drawFilter() {
    this.response.draw((ink) => response(this.low, ink));
    this.sudden.draw((ink) => sudden(this.low, ink));
    this.pythonText();
  }

  pythonText() {
    if (this.answer && this.book && this.low)
      this.python.show([this.answer.python, this.book.python, this.low.python].join("\n\n"));
  }

  unmount() {
    this.stop();
    this.questions.close();
    for (const picture of [this.paths, this.first, this.ledger, this.twin, this.response, this.sudden]) picture.remove();
  }
}

function comparedInWords({ at, apart, second }) {
  if (at === 0) return "All three start at the same place.";
  if (at === 1) return "After the first update T and the single network are equal.";
  if (Math.abs(apart[at]) < 1e-14) return "Here T and the single network stay equal.";
  const sign = apart[at] > 0 ? "above" : "below";
  const why = at === 2 ? ` The theory says T₂ − X₂ = ${show(second.predicted, 4)}.` : "";
  return `After update ${at}, T lies ${sign} the single network by ${show(Math.abs(apart[at]), 4)}.${why}`;
}

const steps = (line) => line.map((_, t) => t);

function cursor(answer, ink) {
  return { type: "line", x0: answer.at, x1: answer.at, yref: "paper", y0: 0, y1: 1, line: { color: ink.quiet, width: 1, dash: "dot" } };
}

function paths(answer, ink) {
  const short = answer.Q.length <= 60;
  const line = (name, label, color, more) => ({ name: label, x: steps(answer[name]), y: answer[name],
    mode: short ? "lines+markers" : "lines", line: { color, width: 2 }, marker: { size: 5, color },
    hovertemplate: `step %{x}: %{y:.6g}<extra>${label}</extra>`, ...more });
  const mark = (name, color) => ({ name, showlegend: false, hoverinfo: "skip", x: [answer.at], y: [answer[name][answer.at]],
    mode: "markers", marker: { size: 12, color: "rgba(0,0,0,0)", line: { color, width: 3 } } });
  return {
    traces: [
      line("X", "X, the single network at (1−c)α", ink.single, { line: { color: tint(ink.single, 0.5), width: 7 }, meta: "wide" }),
      line("Q", "Q, the online network", ink.online), line("T", "T, the target", ink.target),
      mark("X", ink.single), mark("Q", ink.online), mark("T", ink.target),
    ],
    layout: { xaxis: { title: { text: "gradient steps" } }, yaxis: { title: { text: "value" } }, shapes: [cursor(answer, ink)] },
    label: `Q, T and X over steps. At step ${answer.at}: ${show(answer.Q[answer.at])}, ${show(answer.T[answer.at])}, ${show(answer.X[answer.at])}.`,
  };
}

/** T on X for the first steps: one mark where they are equal, two where they are not. */
function firstSteps(answer, ink) {
  const few = Math.min(5, answer.T.length);
  const line = (name, label, color, more) => ({ name: label, x: steps(answer.T.slice(0, few)), y: answer[name].slice(0, few),
    mode: "lines+markers", hovertemplate: `step %{x}: %{y:.8g}<extra>${label}</extra>`, line: { color, width: 2 },
    marker: { color, size: 7 }, ...more });
  return {
    traces: [
      line("X", "X, the single network", ink.single, { line: { color: tint(ink.single, 0.5), width: 9 }, marker: { color: tint(ink.single, 0.6), size: 17 }, meta: "wide" }),
      line("T", "T, the target", ink.target),
    ],
    layout: { xaxis: { title: { text: "gradient steps" }, dtick: 1 }, yaxis: { title: { text: "value" } } },
    label: `After the first update T is ${show(answer.first.T, 7)} and X is ${show(answer.first.X, 7)}; after the second T is ${show(answer.second.T, 7)} and X is ${show(answer.second.X, 7)}.`,
  };
}

function ledger(book, ink) {
  const { at, hard_period: period } = book;
  return {
    traces: [
      { type: "bar", name: "arrived in T", x: book.k, y: book.share, marker: { color: ink.target },
        hovertemplate: "step %{x}: %{y:.4f} of it has arrived<extra></extra>" },
      { name: `hard copies every ${period}`, x: book.k, y: book.hard, mode: "lines", line: { color: ink.hard, width: 2, shape: "hvh" } },
    ],
    layout: { xaxis: { title: { text: `past step (T is looked at after ${at})` }, range: [-0.6, Math.max(at, 12) - 0.4] }, bargap: 0.15,
      yaxis: { title: { text: "share that has arrived" }, range: [0, 1.04] } },
    label: `Share of each of ${at} past steps that has arrived in T.`,
  };
}

function staircase(answer, ink) {
  const line = (name, label, color, more = {}) => ({ name: label, x: steps(answer[name]), y: answer[name], mode: "lines",
    line: { color, width: 2, ...more } });
  return {
    traces: [line("T", "T, soft", ink.target), line("Q_hard", "Q with hard copies", tint(ink.online, 0.55), { width: 1.3 }),
      line("T_hard", `T, copied every ${answer.hard_period}`, ink.hard, { shape: "hv" })],
    layout: { xaxis: { title: { text: "gradient steps" } }, yaxis: { title: { text: "value" } } },
    label: `The soft target beside hard copies every ${answer.hard_period} steps.`,
  };
}

function response(low, ink) {
  const marks = low.cutoff === null ? [] : [{ name: `half the power, ω = ${show(low.cutoff, 3)}`, x: [low.cutoff],
    y: [low.cutoff_db], mode: "markers", marker: { color: ink.ink, size: 10, symbol: "diamond" } }];
  return {
    traces: [{ name: "gain from Q to T", x: low.omega, y: low.gain_db, mode: "lines", line: { color: ink.target, width: 2 } }, ...marks],
    layout: { xaxis: { type: "log", dtick: 1, title: { text: "frequency ω, radians per step" } }, yaxis: { title: { text: "gain, dB" } } },
    label: "Gain of the target over frequency.",
  };
}

function sudden(low, ink) {
  const half = { type: "line", x0: low.half_life, x1: low.half_life, yref: "paper", y0: 0, y1: 1,
    line: { color: ink.quiet, width: 1, dash: "dot" } };
  return {
    traces: [
      { name: "T, soft", x: low.age, y: low.soft, mode: "lines", line: { color: ink.target, width: 2 } },
      { name: `T, copied every ${low.hard_period}`, x: low.age, y: low.hard, mode: "lines", line: { color: ink.hard, width: 2, shape: "hv" } },
      { name: `half-life ${show(low.half_life, 4)} steps, mean lag ${show(low.mean_lag, 4)}`, x: [low.half_life], y: [0.5], mode: "markers",
        marker: { color: ink.ink, size: 10, symbol: "diamond" } },
    ],
    layout: { xaxis: { title: { text: "gradient steps since" } }, yaxis: { title: { text: "share in T" }, range: [0, 1.04] }, shapes: [half] },
    label: `Share of a sudden change that has reached T; half after ${show(low.half_life, 4)} steps.`,
  };
}
