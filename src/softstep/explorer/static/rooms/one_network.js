// Room 1: one network blended with itself, beside gradient descent at α and at (1−c)α.

import { RequestQueue, isStatic } from "../api.js";
import { Panel, PythonBox } from "../controls.js";
import { el, formatNumber, withMath } from "../dom.js";
import { DragHandle } from "../drag_handle.js";
import { Figure, withOpacity } from "../figures.js";

export const id = "one-network";
export const title = "One network";
export const lead = "Take a gradient step, then blend the result with the network before it, keeping a share c of the old " +
  "parameters. It looks like a smaller learning rate. Is it one?";

const REACH = 3;
const ENDPOINT = "one-network";
const DEFAULTS = {
  loss: "bowl", dimensions: "1", formula: "x^2/2 + 0.3*sin(3x)", alpha: 0.5, c: 0.8, x: -2.4, y: 1.8, steps: 40,
  variant: "every-step", k: 5, mu: 0.8,
};
const NUMBERS = ["alpha", "c", "x", "y", "steps", "k", "mu"];
const SPECS = [
  { kind: "slider", name: "alpha", main: true, label: "$α$: step size", scale: "log", min: 0.01, max: 10 },
  { kind: "slider", name: "c", main: true, label: "$c$: share of the old parameters that is kept", scale: "complement", max: 0.999 },
  { kind: "choice", name: "loss", label: "Loss",
    options: [["bowl", "Bowl"], ["valley", "Valley"], ["double-well", "Double well"], ["own", "Your own"]] },
  { kind: "text", name: "formula", label: "Your loss: a formula in $x$ (and $y$)", maxLength: 120 },
  { kind: "choice", name: "dimensions", label: "Dimensions", options: [["1", "One"], ["2", "Two"]] },
  { kind: "choice", name: "variant", label: "Blend", options: [["every-step", "Every step"],
    ["lookahead", "Every $k$ steps (Lookahead)"], ["nesterov", "Every step, with Nesterov momentum"]] },
  { kind: "slider", name: "k", label: "$k$: steps between blends", scale: "linear", min: 1, max: 20, whole: true },
  { kind: "slider", name: "mu", label: "$μ$: momentum", scale: "linear", min: 0, max: 0.99 },
  { kind: "slider", name: "x", label: "Start: $x$", scale: "linear", min: -REACH, max: REACH },
  { kind: "slider", name: "y", label: "Start: $y$", scale: "linear", min: -REACH, max: REACH },
  { kind: "slider", name: "steps", label: "Steps", scale: "linear", min: 5, max: 200, whole: true },
].map((spec) => ({ ...spec, endpoint: ENDPOINT }));

/** The names of the paths; with momentum, the paths without a blend have it too. */
function namesOf({ variant, mu }) {
  const descent = variant === "nesterov" && mu > 0 ? "Nesterov descent" : "gradient descent";
  return { descent: `${descent} at α`, soft: "soft update at (α, c)", smaller: `${descent} at α′ = (1−c)α`,
    fast: "fast steps between blends" };
}

/** What is iterated: texts with formulas between dollar signs. */
function formulasOf({ variant, k, mu }) {
  if (variant === "lookahead" && k > 1)
    return ["$y ← y − α ∇ f ( y )$", `every ${k} steps: $x ← c x + ( 1 − c ) y$, then $y ← x$`];
  if (variant === "nesterov" && mu > 0) return ["$v ← μ v − α ∇ f ( x + μ v )$", "$x ← c x + ( 1 − c ) ( x + v )$"];
  return ["$x ← c x + ( 1 − c ) ( x − α ∇ f ( x ) )$", "$α′ = ( 1 − c ) α$"];
}

function lossNote({ variant, k, mu }) {
  if (variant === "lookahead" && k > 1) return "The dots leave the wide line: the blended network moves only every k steps.";
  if (variant === "nesterov" && mu > 0) return "The dots leave the wide line: with momentum, the soft update is not just a smaller step.";
  return "The dots lie on the wide line: the soft update is just a smaller step.";
}

export function mount(container, context) {
  return new OneNetwork(container, context);
}

class OneNetwork {
  constructor(container, context) {
    this.context = context;
    this.panel = new Panel(container, SPECS, (name, value) => this.change({ [name]: value }));
    const content = container.appendChild(el("div", { class: "content" }));
    this.relation = el("p", { class: "readout", id: "one-network-relation", "aria-live": "polite" });
    this.difference = el("p", { class: "quiet", id: "one-network-difference" });
    this.formulas = el("div", { class: "formulas" });
    content.append(this.formulas, el("div", { class: "answer" }, this.relation, this.difference));
    this.paths = new Figure(content, { id: "one-network-paths", title: "Paths from one start", kind: "tall",
      note: isStatic ? "" : "To move the start, drag the round handle or use the arrow keys on it." });
    const pair = content.appendChild(el("div", { class: "pair" }));
    this.losses = new Figure(pair, { id: "one-network-steps", title: "Loss after each step" });
    this.rates = new Figure(pair, { id: "one-network-rate", title: "Equivalent learning rate",
      note: "The learning rate of plain gradient descent that does the same. A flat line means: one rate for every curvature." });
    this.python = new PythonBox(content);
    this.handle = new DragHandle(this.paths, { label: "Start point: drag it, or use the arrow keys", vertical: false,
      onMove: (x, y) => this.moveStart(x, y) });
    this.paths.onPaint = () => this.placeHandle();
    this.requests = new RequestQueue({
      landscape: (answer) => { this.landscape = answer; this.draw(); },
      [ENDPOINT]: (answer) => { this.answer = { ...answer, names: namesOf(this.state()) }; this.panel.clearErrors(); this.draw(); },
    }, (parameter, reason) => this.panel.showError(parameter, reason));
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

  moveStart(x, y) {
    const clamped = (value) => Number(Math.min(REACH, Math.max(-REACH, value)).toFixed(3));
    this.change(this.state().dimensions === "2" ? { x: clamped(x), y: clamped(y) } : { x: clamped(x) });
  }

  update() {
    const state = this.state();
    this.panel.setValues(state);
    this.panel.setHidden("formula", state.loss !== "own");
    this.panel.setHidden("y", state.dimensions !== "2");
    this.panel.setHidden("k", state.variant !== "lookahead");
    this.panel.setHidden("mu", state.variant !== "nesterov");
    this.formulas.replaceChildren(...formulasOf(state).map((text) => el("span", {}, ...withMath(text))));
    this.rates.element.hidden = state.variant === "nesterov";
    this.handle.vertical = state.dimensions === "2";
    const values = { ...state, dimensions: Number(state.dimensions) };
    const { loss, dimensions, formula } = values;
    const landscapeKey = JSON.stringify([loss, dimensions, loss === "own" ? formula : ""]);
    if (landscapeKey !== this.landscapeKey) this.requests.send("landscape", { loss, dimensions, formula });
    this.landscapeKey = landscapeKey;
    this.requests.send(ENDPOINT, values);
  }

  draw() {
    const { answer, landscape } = this;
    const isComplete = answer && landscape && Boolean(answer.soft.y) === Boolean(landscape.y); // both of one dimension
    if (!isComplete) return;
    const paths = landscape.y ? pathsOnMap : pathsOnCurve;
    this.paths.draw((colours) => paths(answer, landscape, colours));
    this.losses.draw((colours) => lossOverSteps(answer, colours));
    this.rates.draw((colours) => ratesOverCurvature(answer, colours));
    this.relation.textContent = answer.relation;
    this.losses.note.textContent = lossNote(this.state());
    this.difference.textContent = differenceInWords(answer);
    this.python.show(answer.python);
  }

  placeHandle() {
    const { answer } = this;
    this.handle.moveTo(answer.start[0], answer.start[1] ?? answer.loss.soft[0]);
  }

  unmount() {
    this.requests.close();
    this.handle.remove();
    for (const figure of [this.paths, this.losses, this.rates]) figure.remove();
  }
}

function differenceInWords({ difference, step_ulp: ulp, escaped, names }) {
  const sentences = [`Largest distance between the soft update and ${names.smaller}: ${formatNumber(difference, 3)}.`];
  if (difference > 0 && ulp !== null && ulp <= 4) sentences.push("That is rounding: every single step agrees to the last digits.");
  for (const [name, step] of Object.entries(escaped))
    if (step !== null) sentences.push(`Diverged at step ${step}: ${names[name]}.`);
  return sentences.join(" ");
}

/** The three paths as traces: descent at α′ wide and pale, the soft update as dots inside it. */
function pathTraces(answer, colours, coordinates) {
  const wide = { color: withOpacity(colours.single, 0.45), width: 9 };
  const trace = (name, style) => ({ name: answer.names[name], mode: "lines+markers", ...coordinates(name), ...style,
    hovertemplate: `step %{pointNumber}: %{x:.4g}, %{y:.4g}<extra>${answer.names[name]}</extra>` });
  const traces = [
    trace("descent", { line: { color: colours.descent, width: 1.2 }, marker: { color: colours.descent, size: 6, symbol: "diamond" } }),
    trace("smaller", { line: wide, marker: { color: withOpacity(colours.single, 0.55), size: 15 }, meta: "wide" }),
    trace("soft", { line: { color: colours.blended, width: 1.6 }, marker: { color: colours.blended, size: 6 }, meta: "dots" }),
  ];
  if (answer.fast)
    traces.push(trace("fast", { line: { color: colours.blended, width: 1, dash: "dot" }, marker: { color: colours.blended, size: 3 } }));
  return traces;
}

/** The paths on the loss curve of one dimension. */
function pathsOnCurve(answer, landscape, colours) {
  const finite = landscape.z.filter((z) => z !== null);
  const low = Math.min(...finite), high = Math.max(...finite);
  const losses = { ...answer.loss, fast: answer.fast_loss };
  const coordinates = (name) => ({ x: answer[name].x, y: losses[name] });
  const curve = { name: `f(x) = ${landscape.formula}`, x: landscape.x, y: landscape.z, mode: "lines",
    line: { color: colours.quiet, width: 2, simplify: false }, hoverinfo: "skip" };
  const margin = 0.06 * (high - low) || 1;
  return {
    traces: [curve, ...pathTraces(answer, colours, coordinates)],
    layout: { xaxis: { title: { text: "x" }, range: [-REACH, REACH] },
      yaxis: { title: { text: "loss" }, range: [low - margin, high + margin] } },
    label: `The loss ${landscape.formula} with three descent paths from x = ${formatNumber(answer.start[0])}.`,
  };
}

/** The paths on the contours of a loss in two dimensions. */
function pathsOnMap(answer, landscape, colours) {
  const map = { type: "contour", name: landscape.formula, showlegend: false, x: landscape.x, y: landscape.y, z: landscape.z,
    ncontours: 22, showscale: false, hoverinfo: "skip", line: { color: withOpacity(colours.landscape, 0.35), width: 1 },
    colorscale: [[0, withOpacity(colours.landscape, 0)], [1, withOpacity(colours.landscape, 0.22)]], contours: { coloring: "fill" } };
  const coordinates = (name) => ({ x: answer[name].x, y: answer[name].y });
  return {
    traces: [map, ...pathTraces(answer, colours, coordinates)],
    layout: { xaxis: { title: { text: "x" }, range: [-REACH, REACH] }, yaxis: { title: { text: "y" }, range: [-REACH, REACH] } },
    label: `Contours of the loss ${landscape.formula} with three descent paths.`,
  };
}

function lossOverSteps(answer, colours) {
  const coordinates = (name) => ({ x: answer.loss[name].map((_, step) => step), y: answer.loss[name] });
  const lines = pathTraces({ ...answer, fast: null }, colours, coordinates);
  const shown = answer.loss.soft.concat(answer.loss.smaller, answer.loss.descent).filter((y) => y !== null);
  const top = Math.max(...answer.loss.soft.slice(0, 1), ...answer.loss.smaller.filter((y) => y !== null));
  const range = [Math.min(...shown), Math.min(Math.max(...shown), 1.6 * top)];
  const margin = 0.06 * (range[1] - range[0]) || 1;
  return {
    traces: lines.map((line) => ({ ...line, showlegend: false })),
    layout: { xaxis: { title: { text: "gradient steps" } },
      yaxis: { title: { text: "loss" }, range: [range[0] - margin, range[1] + margin] } },
    label: "The loss after each step of the three paths.",
  };
}

function ratesOverCurvature({ rates, alpha_prime: small }, colours) {
  const ends = [rates.b[0], rates.b[rates.b.length - 1]];
  const start = rates.here_b.map((b, i) => ({ b, rate: rates.here[i] })).filter(({ rate }) => rate !== null);
  return {
    traces: [
      { name: "α′ = (1−c)α", x: ends, y: [small, small], mode: "lines", line: { color: withOpacity(colours.single, 0.45), width: 9 }, meta: "wide" },
      { name: "equivalent rate α′(b)", x: rates.b, y: rates.alpha_prime, mode: "lines", line: { color: colours.blended, width: 2 } },
      { name: "curvature of this loss at the start", x: start.map(({ b }) => b), y: start.map(({ rate }) => rate), mode: "markers",
        marker: { color: colours.ink, size: 9, symbol: "diamond" } },
    ],
    layout: { xaxis: { title: { text: "curvature b" } }, yaxis: { title: { text: "α′(b)" }, rangemode: "tozero" } },
    label: `The equivalent learning rate over the curvature; (1−c)α is ${formatNumber(small)}.`,
  };
}
