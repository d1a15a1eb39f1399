// Room 4: the trade-off between rate and variance, for one network, for Q and for T.

import { RequestQueue } from "../api.js";
import { Panel, PythonBox } from "../controls.js";
import { el, formatNumber, math } from "../dom.js";
import { Figure } from "../figures.js";

export const id = "noise";
export const title = "Noise";
export const lead = "Every gradient is noisy, and a network that learns faster is also noisier. A target network changes " +
  "this trade-off: for a > 0 and αb < 1, T is less noisy than a single network of the same rate, and Q is noisier. " +
  "Agents act and are scored with Q.";

const C_TICKS = { tickvals: [1, 0.1, 0.01, 0.001, 0.0001], ticktext: ["0", "0.9", "0.99", "0.999", "0.9999"] };
const ENDPOINT = "noise";
const DEFAULTS = { alpha: 0.5, c: 0.8, a: 0.5, b: 1, seed: 0 };
const SPECS = [
  { kind: "slider", name: "alpha", main: true, label: "$α$: step size", scale: "log", min: 0.001, max: 10 },
  { kind: "slider", name: "c", main: true, label: "$c$: share of the old target that is kept", scale: "complement", max: 0.999 },
  { kind: "slider", name: "a", label: "$a$: weight of T in Q's target", scale: "linear", min: -2, max: 2 },
  { kind: "slider", name: "b", label: "$b$: curvature of Q's regression", scale: "linear", min: 0.05, max: 3 },
  { kind: "slider", name: "seed", label: "Seed of the noise", scale: "linear", min: 0, max: 99, whole: true },
].map((spec) => ({ ...spec, endpoint: ENDPOINT }));

export function mount(container, context) {
  return new Noise(container, context);
}

class Noise {
  constructor(container, context) {
    this.context = context;
    this.panel = new Panel(container, SPECS, (name, value) => { this.context.set({ [name]: value }); this.update(); });
    const content = container.appendChild(el("div", { class: "content" }));
    this.comparison = el("p", { class: "readout", id: "noise-says", "aria-live": "polite" });
    const number = (name, formula, text = "") => {
      const value = el("dd", { id: `noise-${name}` }, "–");
      return { value, item: el("div", {}, el("dt", {}, math(formula), text), value) };
    };
    this.numbers = { T_ratio: number("ratio-t", "V_T / V_1"), Q_ratio: number("ratio-q", "V_Q / V_1"),
      alpha_same_rate: number("same-rate", "α", " of the single network with the same rate") };
    content.append(el("div", { class: "formulas" }, math("Q ← Q + α ( a T − b Q + noise )", true), math("T ← c T + ( 1 − c ) Q", true)),
      el("div", { class: "answer" }, this.comparison, el("dl", { class: "ratios" }, Object.values(this.numbers).map(({ item }) => item))));
    const pair = content.appendChild(el("div", { class: "pair" }));
    this.tradeOff = new Figure(pair, { id: "noise-map", title: "Rate against variance", kind: "tall",
      note: "Further right is faster, further down is less noisy. The lines of Q and T cover all c at this α; the large markers show your α and c." });
    this.ratios = new Figure(pair, { id: "noise-ratio", title: "Compared with a single network of the same rate", kind: "tall",
      note: "Variance divided by V₁, that of the single network with the same rate. For a > 0 and αb < 1, T lies below 1 and Q above." });
    this.run = new Figure(content, { id: "noise-run", title: "The same noise on all three" });
    this.python = new PythonBox(content);
    this.requests = new RequestQueue({ [ENDPOINT]: (answer) => { this.answer = answer; this.panel.clearErrors(); this.draw(); } },
      (parameter, reason) => this.panel.showError(parameter, reason));
    this.update();
  }

  update() {
    const state = Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, this.context.number(name, value)]));
    this.panel.setValues(state);
    this.requests.send(ENDPOINT, state);
  }

  draw() {
    const { answer } = this;
    this.comparison.textContent = answer.says;
    for (const [name, { value }] of Object.entries(this.numbers)) value.textContent = formatNumber(answer[name], 5);
    this.tradeOff.draw((colours) => tradeOff(answer, colours));
    this.ratios.draw((colours) => ratios(answer, colours));
    this.run.note.textContent = answer.run.says;
    this.run.draw((colours) => noisyRun(answer.run, colours));
    this.python.show(answer.python);
  }

  unmount() {
    this.requests.close();
    for (const figure of [this.tradeOff, this.ratios, this.run]) figure.remove();
  }
}

function tradeOff(answer, colours) {
  const line = (name, x, y, color, more = {}) => ({ name, x, y, mode: "lines", line: { color, width: 2.5, ...more },
    hovertemplate: `rate %{x:.4g}, variance %{y:.4g}<extra>${name}</extra>` });
  const marker = (name, y, color, symbol) => ({ name: `${name}, at your α and c`, showlegend: false, x: [answer.decay], y: [y], mode: "markers",
    marker: { color, size: 15, symbol, line: { color: colours.ground, width: 2 } },
    hovertemplate: `rate %{x:.4g}, variance %{y:.4g}<extra>${name}, at your α and c</extra>` });
  const markers = answer.decay === null ? [] : [marker("Q", answer.Q, colours.online, "circle"), marker("T", answer.T, colours.target, "circle"),
    ...(answer.V1 === null ? [] : [marker("single network", answer.V1, colours.single, "diamond")])];
  return {
    traces: [line("single networks", answer.single.decay, answer.single.V, colours.single), line("Q", answer.family.decay, answer.family.Q, colours.online),
      line("T", answer.family.decay, answer.family.T, colours.target), ...markers],
    layout: { xaxis: { type: "log", title: { text: "rate: share of the error removed per step" } },
      yaxis: { type: "log", title: { text: "variance" } } },
    label: `Variance over rate. At your α and c, T has ${formatNumber(answer.T_ratio)} and Q ${formatNumber(answer.Q_ratio)} times the variance of the single network.`,
  };
}

function ratios(answer, colours) {
  const { share, T_ratio: T, Q_ratio: Q } = answer.family;
  const line = (name, y, color) => ({ name, x: share, y, mode: "lines", line: { color, width: 2.5 },
    hovertemplate: `%{y:.4f}<extra>${name}</extra>` });
  const marker = (name, y, color) => ({ name: `${name}, at your α and c`, showlegend: false, x: [1 - answer.c], y: [y], mode: "markers",
    marker: { color, size: 15, line: { color: colours.ground, width: 2 } }, hovertemplate: `%{y:.4f}<extra>${name}, at your α and c</extra>` });
  const values = [...T, ...Q, 1].filter((y) => y !== null);
  const ends = [Math.min(...values), Math.min(10, Math.max(...values))].map(Math.log10);
  return {
    traces: [{ name: "single network of the same rate", x: [share[0], 1], y: [1, 1], mode: "lines", line: { color: colours.single, width: 2.5 } },
      line("Q", Q, colours.online), line("T", T, colours.target), marker("Q", answer.Q_ratio, colours.online), marker("T", answer.T_ratio, colours.target)],
    layout: { margin: { r: 28 }, xaxis: { type: "log", title: { text: "c   (slower target →)" }, range: [0, Math.log10(share[0])], ...C_TICKS },
      yaxis: { type: "log", title: { text: "variance divided by V₁" }, range: [ends[0] - 0.04, ends[1] + 0.04] } },
    label: `Variance over that of the single network of the same rate: T ${formatNumber(answer.T_ratio)}, Q ${formatNumber(answer.Q_ratio)}.`,
  };
}

function noisyRun(run, colours) {
  const line = (name, label, color, width) => ({ name: label, x: (run[name] ?? []).map((_, t) => t), y: run[name] ?? [], mode: "lines",
    line: { color, width }, hoverinfo: "skip" });
  return {
    traces: [line("Q", "Q", colours.online, 1), line("X", "single network of the same rate", colours.single, 2), line("T", "T", colours.target, 2)],
    layout: { xaxis: { title: { text: "gradient steps" } }, yaxis: { title: { text: "value" } } },
    label: "A noisy run of Q, T and the single network of the same rate.",
  };
}
