// Room 2: QN and TQN beside the single network at (1−c)α, step by step; the ledger of T; T as a filter.

import { RequestQueue, exportedAxis } from "../api.js";
import { Panel, PythonBox } from "../controls.js";
import { el, formatNumber, math } from "../dom.js";
import { Figure, withOpacity } from "../figures.js";

export const id = "two-networks";
export const title = "Two networks";
export const lead = "Now the gradient step uses two networks, Q and its target T, and only T is blended. An agent acts with Q " +
  "and is scored with Q; T only supplies what Q is fitted to. T's first update equals that of a single network at (1−c)α. " +
  "From the second update on the two differ, unless c = 0 or αb = 1.";

const ENDPOINT = "two-networks";
const DEFAULTS = { gamma: 0.9, alpha: 0.5, c: 0.9, a: 0.9, b: 1, start: 1, steps: 0, at: 1 }; // steps 0: as many as c asks for
const PLAY_TICK = 700, PLAY_TICKS = 40; // milliseconds from one shown step to the next, and the most that Play shows
const MOST_BARS = 200;
const SPECS = [
  { kind: "slider", name: "alpha", main: true, label: "$α$: step size", scale: "log", min: 0.001, max: 10 },
  { kind: "slider", name: "c", main: true, label: "$c$: share of the old target that is kept", scale: "complement", max: 0.999 },
  { kind: "choice", name: "schedule", label: "$1 − c$ over $t$ gradient steps (experimental)",
    options: [["constant", "constant"], ["harmonic", "falls as 3/((1−γ)t)"]] },
  { kind: "slider", name: "gamma", label: "$γ$ of that schedule", scale: "complement", max: 0.999 },
  { kind: "slider", name: "a", label: "$a$: weight of T in Q's target", scale: "linear", min: -2, max: 2 },
  { kind: "slider", name: "b", label: "$b$: curvature of Q's regression", scale: "linear", min: 0.05, max: 3 },
  { kind: "slider", name: "steps", label: "Steps", scale: "log", min: 4, max: 2100, whole: true },
].map((spec) => ({ ...spec, endpoint: ENDPOINT }));

export function mount(container, context) {
  return new TwoNetworks(container, context);
}

class TwoNetworks {
  constructor(container, context) {
    this.context = context;
    this.lastRequests = {};
    this.panel = new Panel(container, SPECS, (name, value) => this.change({ [name]: value }));
    const content = container.appendChild(el("div", { class: "content" }));
    content.append(el("div", { class: "formulas" }, math("Q_{t+1} = Q_t + α ( a T_t − b Q_t )", true),
      math("T_{t+1} = c T_t + ( 1 − c ) Q_{t+1}", true)));
    this.addStepper(content);
    this.addFigures(content);
    this.python = new PythonBox(content);
    this.requests = new RequestQueue({
      [ENDPOINT]: (answer) => { this.answer = answer; this.panel.clearErrors(); this.update(); this.draw(); },
      ledger: (answer) => { this.ledgerAnswer = answer; this.draw(); },
      filter: (answer) => { this.filterAnswer = answer; this.drawFilter(); },
    }, (parameter, reason) => { this.panel.showError(parameter, reason); this.stop(); });
    this.update();
  }

  addFigures(content) {
    this.paths = new Figure(content, { id: "two-networks-paths", title: "Q, T and the single network", kind: "tall",
      note: "All three start at the same value. The dotted line marks the selected step." });
    const pair = content.appendChild(el("div", { class: "pair" }));
    this.first = new Figure(pair, { id: "two-networks-first", title: "The first steps, close up" });
    this.ledger = new Figure(pair, { id: "two-networks-ledger", title: "The ledger of T" });
    const trio = content.appendChild(el("div", { class: "pair trio" }));
    this.twin = new Figure(trio, { id: "two-networks-staircase", title: "The hard-copy twin",
      note: "A target that is instead copied from Q every few steps, with the same mean lag." });
    this.response = new Figure(trio, { id: "two-networks-response", title: "T as a low-pass filter",
      note: "T follows slow changes of Q and damps fast ones." });
    this.stepResponse = new Figure(trio, { id: "two-networks-sudden", title: "After a sudden change of Q",
      note: "After the half-life, half of the change has reached T. The twin waits for its next copy and takes all of it." });
  }

  /** Buttons that step through the run, and the numbers at the selected step. */
  addStepper(content) {
    const button = (text, label, action) => el("button", { type: "button", "aria-label": label, onclick: action }, text);
    this.playButton = button("Play", "Play the steps", () => (this.timer ? this.stop() : this.play()));
    this.stepNumber = el("output", { class: "step-number" });
    this.comparison = el("p", { class: "readout", id: "two-networks-says", "aria-live": "polite" });
    this.numbers = el("p", { class: "quiet tabular", id: "two-networks-numbers" });
    this.rate = el("p", { class: "quiet", id: "two-networks-rate" });
    const box = el("div", { class: "answer stepper", role: "group", "aria-label": "Step through the run, also with the arrow keys" },
      el("div", { class: "buttons" }, button("First", "First step", () => this.go(0)),
        button("←", "Previous step", () => this.move(-1)), this.playButton,
        button("→", "Next step", () => this.move(1)), button("Last", "Last step", () => this.go(this.length())), this.stepNumber),
      this.comparison, this.numbers, this.rate);
    box.addEventListener("keydown", (event) => {
      const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (direction) { event.preventDefault(); this.move(direction); }
    });
    content.append(box);
  }

  state() {
    const numbers = Object.entries(DEFAULTS).map(([name, value]) => [name, this.context.number(name, value)]);
    return { ...Object.fromEntries(numbers), schedule: this.context.text("schedule", "constant") };
  }

  /** Steps of the run. */
  length() {
    return this.answer ? this.answer.Q.length - 1 : Infinity;
  }

  /** The selected step, which the address may name: a whole number within the run. */
  at() {
    return Math.max(0, Math.min(this.length(), Math.round(this.state().at)));
  }

  go(at) {
    this.change({ at: Math.max(0, Math.min(this.length(), at)) });
    if (this.at() >= this.length()) this.stop();
  }

  /** Go some steps forwards or backwards; on an exported page, on to the next step that it has. */
  move(steps) {
    const wanted = this.at() + steps;
    const known = exportedAxis("ledger", "at")?.filter((at) => at <= this.length()) ?? [wanted];
    this.go((steps > 0 ? known.find((at) => at >= wanted) : known.findLast((at) => at <= wanted)) ?? this.at());
  }

  play() {
    if (this.at() >= this.length()) this.go(0);
    this.timer = setInterval(() => this.move(Math.max(1, Math.ceil(this.length() / PLAY_TICKS))), PLAY_TICK);
    this.playButton.textContent = "Pause";
    this.playButton.setAttribute("aria-label", "Pause");
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.playButton.textContent = "Play";
    this.playButton.setAttribute("aria-label", "Play the steps");
  }

  change(patch) {
    this.context.set(patch);
    this.update();
  }

  update() {
    const { at, ...values } = this.state();
    this.panel.setValues({ ...values, steps: values.steps || this.answer?.Q.length - 1 || PLAY_TICKS });
    this.sendIfChanged(ENDPOINT, values);
    if (this.answer) this.sendIfChanged("ledger", { c: values.c, at: this.at() });
    this.sendIfChanged("filter", { c: values.c });
  }

  sendIfChanged(endpoint, values) {
    const text = JSON.stringify(values);
    if (this.lastRequests[endpoint] !== text) this.requests.send(endpoint, values);
    this.lastRequests[endpoint] = text;
  }

  draw() {
    if (!this.answer || !this.ledgerAnswer) return;
    const answer = { ...this.answer, at: Math.min(this.ledgerAnswer.at, this.answer.Q.length - 1) };
    this.stepNumber.textContent = `step ${answer.at} of ${answer.Q.length - 1}`;
    this.comparison.textContent = comparisonInWords(answer);
    this.numbers.textContent = ["Q", "T", "X"].map((name) => `${name} = ${formatNumber(answer[name][answer.at], 7)}`)
      .concat(`T − X = ${formatNumber(answer.apart[answer.at], 3)}`).join("    ");
    this.rate.textContent = answer.says;
    this.first.note.textContent = answer.follows ? "Here T equals the single network at every step."
      : "T equals the single network after the first update and differs from the second on.";
    this.ledger.note.textContent = this.ledgerAnswer.says;
    this.paths.draw((colours) => paths(answer, colours));
    this.first.draw((colours) => firstSteps(answer, colours));
    this.ledger.draw((colours) => ledger(this.ledgerAnswer, colours));
    this.twin.draw((colours) => staircase(answer, colours));
    this.showPython();
  }

  drawFilter() {
    this.response.draw((colours) => response(this.filterAnswer, colours));
    this.stepResponse.draw((colours) => stepResponse(this.filterAnswer, colours));
    this.showPython();
  }

  showPython() {
    if (this.answer && this.ledgerAnswer && this.filterAnswer)
      this.python.show([this.answer.python, this.ledgerAnswer.python, this.filterAnswer.python].join("\n\n"));
  }

  unmount() {
    this.stop();
    this.requests.close();
    for (const figure of [this.paths, this.first, this.ledger, this.twin, this.response, this.stepResponse]) figure.remove();
  }
}

function comparisonInWords({ at, apart, second }) {
  if (at === 0) return "All three start at the same value.";
  if (at === 1) return "After the first update, T and the single network are equal.";
  if (Math.abs(apart[at]) < 1e-14) return `After update ${at}, T and the single network are equal.`;
  const side = apart[at] > 0 ? "above" : "below";
  const theory = at === 2 ? ` The theory gives T₂ − X₂ = ${formatNumber(second.predicted, 4)}.` : "";
  return `After update ${at}, T is ${formatNumber(Math.abs(apart[at]), 4)} ${side} the single network.${theory}`;
}

const steps = (path) => path.map((_, t) => t);

/** A dotted line at the selected step. */
function stepMarker(answer, colours) {
  return { type: "line", x0: answer.at, x1: answer.at, yref: "paper", y0: 0, y1: 1, line: { color: colours.quiet, width: 1, dash: "dot" } };
}

function paths(answer, colours) {
  const isShort = answer.Q.length <= 60;
  const line = (name, label, color, more) => ({ name: label, x: steps(answer[name]), y: answer[name],
    mode: isShort ? "lines+markers" : "lines", line: { color, width: 2 }, marker: { size: 5, color },
    hovertemplate: `step %{x}: %{y:.6g}<extra>${label}</extra>`, ...more });
  const mark = (name, color) => ({ name, showlegend: false, hoverinfo: "skip", x: [answer.at], y: [answer[name][answer.at]],
    mode: "markers", marker: { size: 12, color: "rgba(0,0,0,0)", line: { color, width: 3 } } });
  return {
    traces: [
      line("X", "X, the single network at (1−c)α", colours.single, { line: { color: withOpacity(colours.single, 0.5), width: 7 }, meta: "wide" }),
      line("Q", "Q, the online network", colours.online), line("T", "T, the target network", colours.target),
      mark("X", colours.single), mark("Q", colours.online), mark("T", colours.target),
    ],
    layout: { xaxis: { title: { text: "gradient steps" } }, yaxis: { title: { text: "value" } }, shapes: [stepMarker(answer, colours)] },
    label: `Q, T and X over steps. At step ${answer.at}: ${formatNumber(answer.Q[answer.at])}, ${formatNumber(answer.T[answer.at])}, ${formatNumber(answer.X[answer.at])}.`,
  };
}

/** The first steps of T on those of X: the markers coincide when the two are equal. */
function firstSteps(answer, colours) {
  const count = Math.min(5, answer.T.length);
  const line = (name, label, color, more) => ({ name: label, x: steps(answer.T.slice(0, count)), y: answer[name].slice(0, count),
    mode: "lines+markers", hovertemplate: `step %{x}: %{y:.8g}<extra>${label}</extra>`, line: { color, width: 2 },
    marker: { color, size: 7 }, ...more });
  return {
    traces: [
      line("X", "X, the single network", colours.single, { line: { color: withOpacity(colours.single, 0.5), width: 9 }, marker: { color: withOpacity(colours.single, 0.6), size: 17 }, meta: "wide" }),
      line("T", "T, the target network", colours.target),
    ],
    layout: { xaxis: { title: { text: "gradient steps" }, dtick: 1 }, yaxis: { title: { text: "value" } } },
    label: `After the first update T is ${formatNumber(answer.first.T, 7)} and X is ${formatNumber(answer.first.X, 7)}; after the second T is ${formatNumber(answer.second.T, 7)} and X is ${formatNumber(answer.second.X, 7)}.`,
  };
}

function ledger(answer, colours) {
  const { at, hard_period: period } = answer;
  const shares = { name: "arrived in T", x: answer.k, y: answer.share, hovertemplate: "step %{x}: %{y:.4f} of it has arrived<extra></extra>" };
  return {
    traces: [
      at <= MOST_BARS ? { ...shares, type: "bar", marker: { color: colours.target } }
        : { ...shares, mode: "lines", line: { color: colours.target, width: 1, shape: "hvh" }, fill: "tozeroy" },
      { name: `with hard copies every ${period} steps`, x: answer.k, y: answer.hard, mode: "lines", line: { color: colours.hard, width: 2, shape: "hvh" } },
    ],
    layout: { xaxis: { title: { text: `past step (T after step ${at})` }, range: [-0.6, Math.max(at, 12) - 0.4] }, bargap: 0.15,
      yaxis: { title: { text: "share that has arrived in T" }, range: [0, 1.04] } },
    label: `Share of each of ${at} past steps that has arrived in T.`,
  };
}

function staircase(answer, colours) {
  const line = (name, label, color, more = {}) => ({ name: label, x: steps(answer[name]), y: answer[name], mode: "lines",
    line: { color, width: 2, ...more } });
  return {
    traces: [line("T", "T, soft", colours.target), line("Q_hard", "Q, with hard copies", withOpacity(colours.online, 0.55), { width: 1.3 }),
      line("T_hard", `T, copied every ${answer.hard_period} steps`, colours.hard, { shape: "hv" })],
    layout: { xaxis: { title: { text: "gradient steps" } }, yaxis: { title: { text: "value" } } },
    label: `The soft target beside hard copies every ${answer.hard_period} steps.`,
  };
}

function response(filter, colours) {
  const marks = filter.cutoff === null ? [] : [{ name: `half power, ω = ${formatNumber(filter.cutoff, 3)}`, x: [filter.cutoff],
    y: [filter.cutoff_db], mode: "markers", marker: { color: colours.ink, size: 10, symbol: "diamond" } }];
  return {
    traces: [{ name: "gain from Q to T", x: filter.omega, y: filter.gain_db, mode: "lines", line: { color: colours.target, width: 2 } }, ...marks],
    layout: { xaxis: { type: "log", title: { text: "frequency ω (radians per step)" } }, yaxis: { title: { text: "gain (dB)" } } },
    label: "Gain from Q to T over frequency.",
  };
}

/** Share of a sudden change of Q that T shows after each step. */
function stepResponse(filter, colours) {
  const half = { type: "line", x0: filter.half_life, x1: filter.half_life, yref: "paper", y0: 0, y1: 1,
    line: { color: colours.quiet, width: 1, dash: "dot" } };
  return {
    traces: [
      { name: "T, soft", x: filter.age, y: filter.soft, mode: "lines", line: { color: colours.target, width: 2 } },
      { name: `T, copied every ${filter.hard_period} steps`, x: filter.age, y: filter.hard, mode: "lines", line: { color: colours.hard, width: 2, shape: "hv" } },
      { name: `half-life ${formatNumber(filter.half_life, 4)} steps, mean lag ${formatNumber(filter.mean_lag, 4)}`, x: [filter.half_life], y: [0.5], mode: "markers",
        marker: { color: colours.ink, size: 10, symbol: "diamond" } },
    ],
    layout: { xaxis: { title: { text: "gradient steps since the change" } }, yaxis: { title: { text: "share that has reached T" }, range: [0, 1.04] }, shapes: [half] },
    label: `Share of a sudden change of Q that has reached T; half of it after ${formatNumber(filter.half_life, 4)} steps.`,
  };
}
