// Room 1: one network blended with itself, beside descent at α and descent at (1−c)α.

import { Questions, isStatic } from "../api.js";
import { Panel, PythonBox } from "../controls.js";
import { el, math, show } from "../dom.js";
import { Picture, tint } from "../figures.js";
import { Handle } from "../drag_handle.js";

export const id = "one-network";
export const title = "One network";
export const lead = "Blend a network with its own last step, keeping a share c of the old. " +
  "It looks like a smaller learning rate, and here it is one, exactly.";

const REACH = 3;
const ENDPOINT = "one-network";
const DEFAULTS = {
  loss: "bowl", dimensions: "1", formula: "x^2/2 + 0.3*sin(3x)", alpha: 0.5, c: 0.8, x: -2.4, y: 1.8, steps: 40,
  variant: "every-step", k: 5, mu: 0.8,
};
const NUMBERS = ["alpha", "c", "x", "y", "steps", "k", "mu"];
const SPECS = [
  { kind: "slider", name: "alpha", label: "$α$ step size", scale: "log", min: 0.01, max: 10 },
  { kind: "slider", name: "c", label: "$c$ share of the old that is kept", scale: "complement", max: 0.999 },
  { kind: "choice", name: "loss", label: "Loss",
    options: [["bowl", "Bowl"], ["valley", "Valley"], ["double-well", "Double well"], ["own", "Your own"]] },
  { kind: "words", name: "formula", label: "Your loss, in $x$ (and $y$)", longest: 120 },
  { kind: "choice", name: "dimensions", label: "Dimensions", options: [["1", "One"], ["2", "Two"]] },
  { kind: "choice", name: "variant", label: "Blend", options: [["every-step", "Every step"],
    ["lookahead", "Every $k$ steps (Lookahead)"], ["nesterov", "Nesterov at $x + μv$"]] },
  { kind: "slider", name: "k", label: "$k$ steps between blends", scale: "linear", min: 1, max: 20, whole: true },
  { kind: "slider", name: "mu", label: "$μ$ momentum", scale: "linear", min: 0, max: 0.99 },
  { kind: "slider", name: "x", label: "Start, $x$", scale: "linear", min: -REACH, max: REACH },
  { kind: "slider", name: "y", label: "Start, $y$", scale: "linear", min: -REACH, max: REACH },
  { kind: "slider", name: "steps", label: "Steps", scale: "linear", min: 5, max: 200, whole: true },
].map((spec) => ({ ...spec, endpoint: ENDPOINT }));

const NAMES = {
  descent: "descent at α", soft: "soft update at (α, c)", smaller: "descent at α′ = (1−c)α", fast: "steps between blends",
};

const NOTES = {
  "every-step": "The loss after each step. The wide line and the dots lie on each other.",
  lookahead: "The loss after each step. The slow network waits for its blend; the wide line is something else.",
  nesterov: "The loss after each step. The wide line and the dots part.",
};

export function mount(container, context) {
  return new OneNetwork(container, context);
}

class OneNetwork {
  constructor(container, context) {
    this.context = context;
    const change = (name, value) => this.change({ [name]: value });
    this.panel = new Panel(container, SPECS, change);
    const stage = el("div", { class: "stage" });
    container.append(stage);
    this.relation = el("p", { class: "readout", id: "one-network-relation", "aria-live": "polite" });
    this.apart = el("p", { class: "quiet", id: "one-network-difference" });
    stage.append(el("div", { class: "formulas" },
      math("x ← c x + ( 1 − c ) ( x − α ∇ f ( x ) )", true), math("α′ = ( 1 − c ) α", true)),
    el("div", { class: "answer" }, this.relation, this.apart));
    this.paths = new Picture(stage, { id: "one-network-paths", title: "Three paths from one start", kind: "tall",
      note: isStatic ? "" : "Drag the round handle, or use the arrow keys on it." });
    const pair = stage.appendChild(el("div", { class: "pair" }));
    this.over = new Picture(pair, { id: "one-network-steps", title: "Step by step" });
    this.rates = new Picture(pair, { id: "one-network-rate", title: "The rate each curvature sees",
      note: "A learning rate is one number for every curvature: a flat line." });
    this.python = new PythonBox(stage);
    this.handle = new Handle(this.paths, { label: "Start point: drag, or use the arrow keys", vertical: false,
      moved: (x, y) => this.dragged(x, y) });
    this.paths.drawn = () => this.placeHandle();
    this.questions = new Questions({
      landscape: (answer) => { this.surface = answer; this.draw(); },
      [ENDPOINT]: (answer) => { this.answer = answer; this.panel.clear(); this.draw(); },
    }, (parameter, reason) => { this.panel.clear(); this.panel.refuse(parameter, reason); });
    this.update();
  }

  state() {
    const { context } = this;
    return Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) =>
      [name, NUMBERS.includes(name) ? context.number(name, value) : context.text(name, value)]));
  }

  change(patch) {
    this.context.set(patch);
    this.update();
  }

  dragged(x, y) {
    const inside = (value) => Number(Math.min(REACH, Math.max(-REACH, value)).toFixed(3));
    this.change(this.state().dimensions === "2" ? { x: inside(x), y: inside(y) } : { x: inside(x) });
  }

  update() {
    const state = this.state();
    this.panel.show(state);
    this.panel.hide("formula", state.loss !== "own");
    this.panel.hide("y", state.dimensions !== "2");
    this.panel.hide("k", state.variant !== "lookahead");
    this.panel.hide("mu", state.variant !== "nesterov");
    this.rates.element.hidden = state.variant === "nesterov";
    this.handle.vertical = state.dimensions === "2";
    const values = { ...state, dimensions: Number(state.dimensions) };
    const { loss, dimensions, formula } = values;
    const wanted = JSON.stringify([loss, dimensions, loss === "own" ? formula : ""]);
    if (wanted !== this.wanted) this.questions.ask("landscape", { loss, dimensions, formula });
    this.wanted = wanted;
    this.questions.ask(ENDPOINT, values);
  }

  draw() {
    const { answer, surface } = this;
    if (!answer || !surface || Boolean(answer.soft.y) !== Boolean(surface.y)) return;
    const flat = !surface.y;
    this.paths.draw((ink) => (flat ? onCurve(answer, surface, ink) : onMap(answer, surface, ink)));
    this.over.draw((ink) => lossOverSteps(answer, ink));
    this.rates.draw((ink) => ratesOverCurvature(answer, ink));
    this.relation.textContent = answer.relation;
    this.over.note.textContent = NOTES[this.state().variant] ?? "";
    this.apart.textContent = apartInWords(answer);
    this.python.show(answer.python);
  }

  placeHandle() {
    const { answer } = this;
    this.handle.place(answer.start[0], answer.start[1] ?? answer.loss.soft[0]);
  }

  unmount() {
    this.questions.close();
    this.handle.remove();
    for (const picture of [this.paths, this.over, this.rates]) picture.remove();
  }
}

function apartInWords({ difference, step_ulp: ulp, escaped }) {
  const gone = Object.entries(escaped).filter(([, step]) => step !== null)
    .map(([name, step]) => `${NAMES[name]} has left the picture for good at step ${step}`);
  const apart = `Largest distance between soft update and descent at α′: ${show(difference, 3)}`;
  const rounding = difference > 0 && ulp !== null && ulp <= 4 ? ", which is rounding: every single step agrees to the last digit" : "";
  return [`${apart}${rounding}`, ...gone].join(". ") + ".";
}

/** The three walks as traces: the third wide and pale, the second as dots within it. */
function walks(answer, ink, place) {
  const wide = { color: tint(ink.single, 0.45), width: 9 };
  const trace = (name, more) => ({ name: NAMES[name], mode: "lines+markers", ...place(name), ...more,
    hovertemplate: `step %{pointNumber}: %{x:.4g}, %{y:.4g}<extra>${NAMES[name]}</extra>` });
  const lines = [
    trace("descent", { line: { color: ink.descent, width: 1.2 }, marker: { color: ink.descent, size: 6, symbol: "diamond" } }),
    trace("smaller", { line: { ...wide }, marker: { color: tint(ink.single, 0.55), size: 15 }, meta: "wide" }),
    trace("soft", { line: { color: ink.blended, width: 1.6 }, marker: { color: ink.blended, size: 6 }, meta: "dots" }),
  ];
  if (answer.fast)
    lines.push(trace("fast", { line: { color: ink.blended, width: 1, dash: "dot" }, marker: { color: ink.blended, size: 3 } }));
  return lines;
}

function onCurve(answer, surface, ink) {
  const fine = surface.z.filter((z) => z !== null);
  const low = Math.min(...fine), high = Math.max(...fine);
  const heights = { ...answer.loss, fast: answer.fast_loss };
  const place = (name) => ({ x: answer[name].x, y: heights[name] });
  const curve = { name: `f(x) = ${surface.formula}`, x: surface.x, y: surface.z, mode: "lines",
    line: { color: ink.quiet, width: 2, simplify: false }, hoverinfo: "skip" };
  const margin = 0.06 * (high - low) || 1;
  return {
    traces: [curve, ...walks(answer, ink, place)],
    layout: { xaxis: { title: { text: "x" }, range: [-REACH, REACH] },
      yaxis: { title: { text: "loss" }, range: [low - margin, high + margin] } },
    label: `The loss ${surface.formula} with three paths of descent from x = ${show(answer.start[0])}.`,
  };
}

function onMap(answer, surface, ink) {
  const map = { type: "contour", name: surface.formula, showlegend: false, x: surface.x, y: surface.y, z: surface.z,
    ncontours: 22, showscale: false, hoverinfo: "skip", line: { color: tint(ink.other, 0.35), width: 1 },
    colorscale: [[0, tint(ink.other, 0)], [1, tint(ink.other, 0.22)]], contours: { coloring: "fill" } };
  const place = (name) => ({ x: answer[name].x, y: answer[name].y });
  return {
    traces: [map, ...walks(answer, ink, place)],
    layout: { xaxis: { title: { text: "x" }, range: [-REACH, REACH] }, yaxis: { title: { text: "y" }, range: [-REACH, REACH] } },
    label: `Contours of the loss ${surface.formula} with three paths of descent.`,
  };
}

function lossOverSteps(answer, ink) {
  const place = (name) => ({ x: answer.loss[name].map((_, step) => step), y: answer.loss[name] });
  const lines = walks({ ...answer, fast: null }, ink, place);
  const shown = answer.loss.soft.concat(answer.loss.smaller, answer.loss.descent).filter((y) => y !== null);
  const top = Math.max(...answer.loss.soft.slice(0, 1), ...answer.loss.smaller.filter((y) => y !== null));
  const range = [Math.min(...shown), Math.min(Math.max(...shown), 1.6 * top)];
  const margin = 0.06 * (range[1] - range[0]) || 1;
  return {
    traces: lines.map((line) => ({ ...line, showlegend: false })),
    layout: { xaxis: { title: { text: "gradient steps" } },
      yaxis: { title: { text: "loss" }, range: [range[0] - margin, range[1] + margin] } },
    label: "The loss after each step for the three paths.",
  };
}

function ratesOverCurvature({ rates, alpha_prime: small }, ink) {
  const flat = [rates.b[0], rates.b[rates.b.length - 1]];
  const here = rates.here_b.map((b, i) => ({ b, rate: rates.here[i] })).filter(({ rate }) => rate !== null);
  return {
    traces: [
      { name: "α′ = (1−c)α", x: flat, y: [small, small], mode: "lines", line: { color: tint(ink.single, 0.45), width: 9 }, meta: "wide" },
      { name: "the rate that does the same", x: rates.b, y: rates.alpha_prime, mode: "lines", line: { color: ink.blended, width: 2 } },
      { name: "this loss, at the start", x: here.map(({ b }) => b), y: here.map(({ rate }) => rate), mode: "markers",
        marker: { color: ink.ink, size: 9, symbol: "diamond" } },
    ],
    layout: { xaxis: { title: { text: "curvature b" } }, yaxis: { title: { text: "α′(b)" }, rangemode: "tozero" } },
    label: `The learning rate that gives the same decay, over the curvature; (1−c)α is ${show(small)}.`,
  };
}
