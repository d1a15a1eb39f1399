// Room 4: what a rate costs in variance, for one network, for Q and for T.

import { Questions } from "../api.js";
import { Panel, PythonBox } from "../controls.js";
import { el, math, show } from "../dom.js";
import { Picture } from "../figures.js";

export const id = "noise";
export const title = "Noise";
export const lead = "Every gradient is noisy. A faster network is a noisier one, and the target changes the bargain: " +
  "at the same rate T is quieter than a single network, and Q is noisier.";

const cTicks = { tickvals: [1, 0.1, 0.01, 0.001, 0.0001], ticktext: ["0", "0.9", "0.99", "0.999", "0.9999"] };
const ENDPOINT = "noise";
const DEFAULTS = { alpha: 0.5, c: 0.8, a: 0.5, b: 1, seed: 0 };
const SPECS = [
  { kind: "slider", name: "alpha", label: "$α$ step size", scale: "log", min: 0.001, max: 10 },
  { kind: "slider", name: "c", label: "$c$ share of the old target that is kept", scale: "complement", max: 0.999 },
  { kind: "slider", name: "a", label: "$a$ how much of T is in the targets", scale: "linear", min: -2, max: 2 },
  { kind: "slider", name: "b", label: "$b$ how steeply Q is pulled to them", scale: "linear", min: 0.05, max: 3 },
  { kind: "slider", name: "seed", label: "Seed of the noise", scale: "linear", min: 0, max: 99, whole: true },
].map((spec) => ({ ...spec, endpoint: ENDPOINT }));

export function mount(container, context) {
  return new Noise(container, context);
}

class Noise {
  constructor(container, context) {
    this.context = context;
    this.panel = new Panel(container, SPECS, (name, value) => { this.context.set({ [name]: value }); this.update(); });
    const stage = el("div", { class: "stage" });
    container.append(stage);
    this.says = el("p", { class: "readout", id: "noise-says", "aria-live": "polite" });
    const ratio = (name, of, rest = "") => {
      const value = el("dd", { id: `noise-${name}` }, "–");
      return { value, item: el("div", {}, el("dt", {}, math(of), rest), value) };
    };
    this.ratios = { T_ratio: ratio("ratio-t", "V_T / V_1"), Q_ratio: ratio("ratio-q", "V_Q / V_1"),
      alpha_same_rate: ratio("same-rate", "α", " of the single network that is as fast") };
    stage.append(el("div", { class: "formulas" }, math("Q ← Q + α ( a T − b Q + noise )", true), math("T ← c T + ( 1 − c ) Q", true)),
      el("div", { class: "answer" }, this.says, el("dl", { class: "ratios" }, Object.values(this.ratios).map(({ item }) => item))));
    const pair = stage.appendChild(el("div", { class: "pair" }));
    this.map = new Picture(pair, { id: "noise-map", title: "Rate against variance", kind: "tall",
      note: "To the right is faster, down is quieter. The lines of Q and T run over every c at this α; the large marks are this pair." });
    this.compared = new Picture(pair, { id: "noise-ratio", title: "Against a single network of the same rate", kind: "tall",
      note: "Variance over V₁, that of the single network that is exactly as fast. T lies below 1, Q above." });
    this.run = new Picture(stage, { id: "noise-run", title: "The same noise on all three",
      note: "Q, T and the single network of the same rate, under the same kicks." });
    this.python = new PythonBox(stage);
    this.questions = new Questions({ [ENDPOINT]: (answer) => { this.answer = answer; this.panel.clear(); this.draw(); } },
      (parameter, reason) => { this.panel.clear(); this.panel.refuse(parameter, reason); });
    this.update();
  }

  update() {
    const state = Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, this.context.number(name, value)]));
    this.panel.show(state);
    this.questions.ask(ENDPOINT, state);
  }

  draw() {
    const { answer } = this;
    this.says.textContent = answer.says;
    for (const [name, { value }] of Object.entries(this.ratios)) value.textContent = show(answer[name], 5);
    this.map.draw((ink) => trade(answer, ink));
    this.compared.draw((ink) => ratios(answer, ink));
    this.run.draw((ink) => kicked(answer.run, ink));
    this.python.show(answer.python);
  }

  unmount() {
    this.questions.close();
    for (const picture of [this.map, this.compared, this.run]) picture.remove();
  }
}

function trade(answer, ink) {
  const line = (name, x, y, color, more = {}) => ({ name, x, y, mode: "lines", line: { color, width: 2.5, ...more },
    hovertemplate: `rate %{x:.4g}, variance %{y:.4g}<extra>${name}</extra>` });
  const mark = (name, y, color, symbol) => ({ name: `${name}, this pair`, showlegend: false, x: [answer.decay], y: [y], mode: "markers",
    marker: { color, size: 15, symbol, line: { color: ink.ground, width: 2 } },
    hovertemplate: `rate %{x:.4g}, variance %{y:.4g}<extra>${name}, this pair</extra>` });
  const here = answer.decay === null ? [] : [mark("Q", answer.Q, ink.online, "circle"), mark("T", answer.T, ink.target, "circle"),
    ...(answer.V1 === null ? [] : [mark("single network", answer.V1, ink.single, "diamond")])];
  return {
    traces: [line("single networks", answer.single.decay, answer.single.V, ink.single), line("Q", answer.family.decay, answer.family.Q, ink.online),
      line("T", answer.family.decay, answer.family.T, ink.target), ...here],
    layout: { xaxis: { type: "log", dtick: 1, title: { text: "rate: share of the error lost per step" } },
      yaxis: { type: "log", dtick: 1, title: { text: "variance" } } },
    label: `Variance over rate. Here T has ${show(answer.T_ratio)} and Q ${show(answer.Q_ratio)} times the variance of the single network.`,
  };
}

function ratios(answer, ink) {
  const { share, T_ratio: T, Q_ratio: Q } = answer.family;
  const line = (name, y, color) => ({ name, x: share, y, mode: "lines", line: { color, width: 2.5 },
    hovertemplate: `%{y:.4f}<extra>${name}</extra>` });
  const mark = (name, y, color) => ({ name: `${name}, this pair`, showlegend: false, x: [1 - answer.c], y: [y], mode: "markers",
    marker: { color, size: 15, line: { color: ink.ground, width: 2 } }, hovertemplate: `%{y:.4f}<extra>${name}, this pair</extra>` });
  const known = [...T, ...Q, 1].filter((y) => y !== null);
  const ends = [Math.min(...known), Math.min(10, Math.max(...known))].map(Math.log10);
  return {
    traces: [{ name: "single network of the same rate", x: [share[0], 1], y: [1, 1], mode: "lines", line: { color: ink.single, width: 2.5 } },
      line("Q", Q, ink.online), line("T", T, ink.target), mark("Q", answer.Q_ratio, ink.online), mark("T", answer.T_ratio, ink.target)],
    layout: { xaxis: { type: "log", title: { text: "c   (slower target →)" }, range: [0, Math.log10(share[0])], ...cTicks },
      yaxis: { type: "log", title: { text: "variance / V₁" }, range: [ends[0] - 0.04, ends[1] + 0.04], tickvals: [0.5, 0.7, 0.8, 0.9, 1, 1.5, 2, 3, 5, 10],
        ticktext: ["0.5", "0.7", "0.8", "0.9", "1", "1.5", "2", "3", "5", "10"] } },
    label: `Variance over that of the single network of the same rate: T ${show(answer.T_ratio)}, Q ${show(answer.Q_ratio)}.`,
  };
}

function kicked(run, ink) {
  const line = (name, label, color, width) => ({ name: label, x: (run[name] ?? []).map((_, t) => t), y: run[name] ?? [], mode: "lines",
    line: { color, width }, hoverinfo: "skip" });
  return {
    traces: [line("Q", "Q", ink.online, 1), line("X", "single network of the same rate", ink.single, 2), line("T", "T", ink.target, 2)],
    layout: { xaxis: { title: { text: "gradient steps" } }, yaxis: { title: { text: "value" } } },
    label: "A noisy run of Q, T and the single network of the same rate.",
  };
}
