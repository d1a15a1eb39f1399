// Room 3: a map over (α, c) with its exact boundary, a crosshair, and the details of the pair under it.

import { RequestQueue, isStatic, exportedAxis, nearest } from "../api.js";
import { Panel, PythonBox } from "../controls.js";
import { debounce, el, formatNumber, math } from "../dom.js";
import { DragHandle } from "../drag_handle.js";
import { Figure, dataPoint, pixelPosition } from "../figures.js";
import { ProblemEditor, problemNote } from "../problem_editor.js";
import { eigenvalues, map, trajectory } from "./stability_figures.js";

export const id = "stability";
export const title = "Stability";
export const lead = "Where does learning converge, and where does it diverge? " +
  "Blue converges, orange diverges, and the line between them is exact. Move the pointer over the map.";

const POINT = "stability-point";
const DEFAULTS = { problem: "only_target", gamma: 0.9, alpha: 0.1, c: 0.9 };
const PROBLEMS = [["only_target", "Only the target works"], ["target_destroys", "The target breaks it"],
  ["resonance", "Resonance"], ["baird", "Baird's star"], ["both", "Both work"], ["neither", "Neither works"],
  ["two_theta", "θ and 2θ"], ["own", "Your own"]];
const SPECS = [
  { kind: "select", name: "problem", label: "Problem", options: PROBLEMS },
  { kind: "slider", name: "gamma", label: "$γ$: discount", scale: "linear", min: 0, max: 0.999, decimals: 3 },
  { kind: "slider", name: "alpha", main: true, label: "$α$: step size", scale: "log", min: 0.001, max: 10 },
  { kind: "slider", name: "c", main: true, label: "$c$: share of the old target that is kept", scale: "complement", max: 0.9999 },
].map((spec) => ({ ...spec, endpoint: POINT }));
const MATRICES = ["phi", "P", "d"];
const COARSE_MAP = { resolution: 13, tolerance: 0.05 }; // drawn while a slider moves; the fine map follows
const SETTLE_DELAY = 250; // milliseconds without a change before the slower answers are requested

export function mount(container, context) {
  return new Stability(container, context);
}

/** Move a logarithmic coordinate by one arrow key, or by a larger step with Shift. */
const logarithmicStep = (value, direction, large) => value * (large ? 1.6 : 1.06) ** direction;

class Stability {
  constructor(container, context) {
    this.context = context;
    this.panel = new Panel(container, SPECS, (name, value) => this.onControl(name, value));
    const content = container.appendChild(el("div", { class: "content" }));
    content.append(el("div", { class: "formulas" }, math("θ ← θ + α ( A w − B θ )", true), math("w ← c w + ( 1 − c ) θ", true)));
    this.stories = content.appendChild(el("div", { class: "stories", role: "group", "aria-label": "Stories" }));
    this.story = content.appendChild(el("p", { class: "story", id: "stability-story", "aria-live": "polite" }));
    this.addEditor(content);
    this.addFigures(content);
    this.python = new PythonBox(content);
    this.requests = this.makeRequests();
    this.listenToPointer();
    this.requestMap = debounce((source) => this.requests.send("stability-map", source), SETTLE_DELAY);
    this.requestWindows = debounce((values) => this.requests.send("stability-windows", values), SETTLE_DELAY);
    this.update();
    this.requests.send("stories", {});
  }

  addEditor(content) {
    if (isStatic) return;
    this.details = content.appendChild(el("details", {}, el("summary", {}, "Edit the problem"), problemNote()));
    this.editor = new ProblemEditor(this.details, (matrices) => { this.leaveStory(); this.change({ problem: "own", ...matrices }); });
  }

  addFigures(content) {
    const layout = content.appendChild(el("div", { class: "map-layout" }));
    this.map = new Figure(layout, { id: "stability-map", title: "Growth per step", kind: "map" });
    this.readout = el("p", { class: "readout tabular", id: "stability-readout" });
    this.windows = el("p", { class: "quiet", id: "stability-windows" });
    this.map.element.append(el("div", { class: "answer" }, this.readout, this.windows),
      el("p", { class: "note" }, "This is linear theory. What trained agents reached over (α, c) is in the ", el("a", { href: "#/atlas" }, "Atlas"), "."));
    const side = layout.appendChild(el("div", { class: "side" }));
    this.trajectory = new Figure(side, { id: "stability-trajectory", title: "Trajectory at this (α,\u00a0c)" });
    this.eigenvalues = new Figure(side, { id: "stability-eigenvalues", title: "Eigenvalues at this (α,\u00a0c)", kind: "square",
      note: "Each eigenvalue is one part of the error: inside the circle it shrinks, outside it grows." });
    this.crosshair = { x: el("span", { class: "cross x", "aria-hidden": "true" }), y: el("span", { class: "cross y", "aria-hidden": "true" }) };
    this.map.frame.append(this.crosshair.x, this.crosshair.y);
    this.handle = new DragHandle(this.map, { label: "The pair (α, c): drag it, or use the arrow keys", vertical: true,
      step: logarithmicStep, onMove: (alpha, share) => { this.lookAt(alpha, share, true); this.pointer = null; } });
    this.map.onPaint = () => { this.placeCrosshair(this.pointer ?? this.pair()); this.placeHandle(); };
  }

  makeRequests() {
    return new RequestQueue({
      [POINT]: (answer) => { this.point = answer; this.panel.clearErrors(); this.drawPoint(); },
      "stability-map": (answer) => { this.panel.clearErrors(); this.map.draw((colours) => map(answer, colours)); },
      "stability-windows": (answer) => { this.windows.textContent = answer.says; },
      problem: (answer) => { this.problem = answer; if (answer.phi) this.editor?.show(answer); },
      stories: ({ stories }) => this.drawStories(stories),
    }, (parameter, reason) => this.showError(parameter, reason));
  }

  listenToPointer() {
    const { plot } = this.map;
    plot.addEventListener("pointermove", (event) => {
      const point = dataPoint(plot, event);
      if (event.pointerType === "mouse" && point?.inside) this.lookAt(point.x, point.y, event.buttons === 1);
    });
    plot.addEventListener("pointerdown", (event) => {
      const point = dataPoint(plot, event);
      if (point?.inside) this.lookAt(point.x, point.y, true);
    });
    plot.addEventListener("pointerleave", () => { this.pointer = null; this.requestPoint(); this.placeHandle(); });
  }

  showError(parameter, reason) {
    if (!MATRICES.includes(parameter) || !this.editor) return this.panel.showError(parameter, reason);
    this.panel.clearErrors();
    this.details.open = true;
    return this.editor.showError(`${parameter}: ${reason}`);
  }

  // ---- state ----

  /** The parameters that define the problem. */
  source() {
    const { context } = this;
    const source = { problem: context.text("problem", DEFAULTS.problem), gamma: context.number("gamma", DEFAULTS.gamma) };
    if (source.problem === "own")
      for (const name of MATRICES) {
        try { source[name] = JSON.parse(context.text(name, "null")) ?? undefined; } catch { /* the endpoint has a default */ }
      }
    return source;
  }

  /** The selected pair: α, and the share 1 − c that the map's vertical axis shows. */
  pair() {
    return { alpha: this.context.number("alpha", DEFAULTS.alpha), share: 1 - this.context.number("c", DEFAULTS.c) };
  }

  onControl(name, value) {
    if (name === "problem" || name === "gamma") this.leaveStory();
    const startsOwn = name === "problem" && value === "own";
    if (startsOwn && this.problem?.phi) {
      const { phi, P, d } = this.problem;
      this.change({ problem: "own", phi, P, d });
    } else this.change({ [name]: value });
    if (startsOwn && this.details) this.details.open = true;
  }

  change(patch) {
    const text = Object.entries(patch).map(([name, value]) => [name, Array.isArray(value) ? JSON.stringify(value) : value]);
    this.context.set(Object.fromEntries(text));
    this.pointer = null;
    this.update();
  }

  /** Show the details of a point of the map and, if `select` is true, make it the selected pair. */
  lookAt(alpha, share, select) {
    const clamped = (value, low, high) => Number(Math.min(high, Math.max(low, value)).toPrecision(4));
    const c = this.onAxis("c", Number((1 - clamped(share, 1e-4, 1)).toFixed(7)));
    this.pointer = { alpha: this.onAxis("alpha", clamped(alpha, 1e-3, 10)), share: 1 - c };
    if (select) this.context.set({ alpha: this.pointer.alpha, c });
    this.placeCrosshair(this.pointer);
    this.placeHandle();
    this.requestPoint();
    if (select) this.showState();
  }

  /** The nearest exported value on an exported page; otherwise the value itself. */
  onAxis(name, value) {
    const axis = exportedAxis(POINT, name);
    return axis ? axis[nearest(axis, value)] : value;
  }

  update() {
    this.showState();
    const source = this.source();
    const problemKey = JSON.stringify(source);
    if (problemKey !== this.problemKey) {
      if (this.problemKey && !isStatic) {
        this.requests.send("stability-map", { ...source, ...COARSE_MAP });
        this.requestMap(source);
      } else this.requests.send("stability-map", source);
      this.requests.send("problem", source);
      this.editor?.showError("");
    }
    this.problemKey = problemKey;
    this.requestPoint();
    this.placeCrosshair(this.pair());
    this.placeHandle();
  }

  showState() {
    const { alpha, share } = this.pair();
    this.panel.setValues({ ...this.source(), alpha, c: Number((1 - share).toFixed(8)) });
  }

  requestPoint() {
    const { alpha, share } = this.pointer ?? this.pair();
    const values = { ...this.source(), alpha, c: Math.min(0.9999, Number((1 - share).toFixed(8))) };
    this.requests.send(POINT, values);
    this.requestWindows(values);
  }

  // ---- drawing ----

  placeCrosshair({ alpha, share }) {
    const pixels = pixelPosition(this.map.plot, alpha, share);
    if (!pixels) return;
    const { left, top, size } = pixels;
    Object.assign(this.crosshair.x.style, { left: `${left}px`, top: `${size.t}px`, height: `${size.h}px` });
    Object.assign(this.crosshair.y.style, { top: `${top}px`, left: `${size.l}px`, width: `${size.w}px` });
  }

  placeHandle() {
    const { alpha, share } = this.pair();
    this.handle.moveTo(alpha, share);
  }

  drawPoint() {
    const { point } = this;
    this.readout.textContent = `α = ${formatNumber(point.alpha)}, c = ${formatNumber(point.c, 5)}: ρ = ${formatNumber(point.rho, 7)}, ` +
      `${point.stable ? "converges" : "diverges"}. ${point.says}`;
    this.readout.dataset.stable = point.stable;
    this.trajectory.note.textContent = point.note;
    this.trajectory.draw((colours) => trajectory(point, colours));
    this.eigenvalues.draw((colours) => eigenvalues(point, colours));
    this.python.show(point.python);
  }

  drawStories(stories) {
    this.stories.replaceChildren(...stories.map((story) => el("button", { type: "button", "data-story": story.id,
      onclick: () => this.openStory(story) }, story.title)));
    const open = stories.find((story) => story.id === this.context.state.story);
    if (open) this.story.textContent = open.text;
    this.markStory();
  }

  openStory(story) {
    this.story.textContent = story.text;
    const { problem, gamma, alpha, c } = story;
    this.change({ problem, gamma, alpha, c, story: story.id, phi: null, P: null, d: null });
    this.markStory();
  }

  leaveStory() {
    this.context.set({ story: null });
    this.story.textContent = "";
    this.markStory();
  }

  markStory() {
    for (const button of this.stories.children)
      button.setAttribute("aria-pressed", String(button.dataset.story === this.context.state.story));
  }

  unmount() {
    this.requests.close();
    this.handle.remove();
    for (const figure of [this.map, this.trajectory, this.eigenvalues]) figure.remove();
  }
}
