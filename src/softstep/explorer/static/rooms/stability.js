// Room 3: a map over (α, c) with its exact boundary, a crosshair, and what happens under it.

import { Questions, isStatic, exportedAxis, nearest } from "../api.js";
import { Panel, PythonBox } from "../controls.js";
import { el, math, show, whenQuiet } from "../dom.js";
import { Picture, pixelsOf, placeOf } from "../figures.js";
import { Handle } from "../drag_handle.js";
import { ProblemEditor, meaning } from "../problem_editor.js";
import { eigenvalues, map, trajectory } from "./stability_figures.js";

export const id = "stability";
export const title = "Stability";
export const lead = "Where does learning settle, and where does it run away? " +
  "Blue settles, orange runs away, and the line between is exact. Move over the map.";

const POINT = "stability-point";
const DEFAULTS = { problem: "only_target", gamma: 0.9, alpha: 0.1, c: 0.9 };
const PROBLEMS = [["only_target", "Only the target works"], ["target_destroys", "The target destroys"],
  ["resonance", "Resonance"], ["baird", "Baird's star"], ["both", "Both work"], ["neither", "Neither works"],
  ["two_theta", "θ and 2θ"], ["own", "Your own"]];
const SPECS = [
  { kind: "select", name: "problem", label: "Problem", options: PROBLEMS },
  { kind: "slider", name: "gamma", label: "$γ$ discount", scale: "linear", min: 0, max: 0.999, decimals: 3 },
  { kind: "slider", name: "alpha", label: "$α$ step size", scale: "log", min: 0.001, max: 10 },
  { kind: "slider", name: "c", label: "$c$ share of the old target that is kept", scale: "complement", max: 0.9999 },
].map((spec) => ({ ...spec, endpoint: POINT }));

export function mount(container, context) {
  return new Stability(container, context);
}

const IN_PASSING = { resolution: 13, tolerance: 0.05 }; // a map while a finger moves

class Stability {
  constructor(container, context) {
    this.context = context;
    this.panel = new Panel(container, SPECS, (name, value) => this.changed(name, value));
    const stage = el("div", { class: "stage" });
    container.append(stage);
    stage.append(el("div", { class: "formulas" }, math("θ ← θ + α ( A w − B θ )", true), math("w ← c w + ( 1 − c ) θ", true)));
    this.stories = stage.appendChild(el("div", { class: "stories", role: "group", "aria-label": "Stories" }));
    this.story = stage.appendChild(el("p", { class: "story", id: "stability-story", "aria-live": "polite" }));
    this.editing(stage);
    this.pictures(stage);
    this.python = new PythonBox(stage);
    this.listen();
    this.askMap = whenQuiet((source) => this.questions.ask("stability-map", source), 250);
    this.askWindows = whenQuiet((values) => this.questions.ask("stability-windows", values), 250);
    this.update();
    this.questions.ask("stories", {});
  }

  editing(stage) {
    if (isStatic) return;
    this.details = stage.appendChild(el("details", { class: "own" }, el("summary", {}, "Edit the problem"), meaning()));
    this.editor = new ProblemEditor(this.details, (own) => { this.forgetStory(); this.change({ problem: "own", ...own }); });
  }

  pictures(stage) {
    const desk = stage.appendChild(el("div", { class: "desk" }));
    this.map = new Picture(desk, { id: "stability-map", title: "Growth per step", kind: "map" });
    this.readout = el("p", { class: "readout tabular", id: "stability-readout" });
    this.windows = el("p", { class: "quiet", id: "stability-windows" });
    this.map.element.append(el("div", { class: "answer" }, this.readout, this.windows));
    const side = desk.appendChild(el("div", { class: "side" }));
    this.trajectory = new Picture(side, { id: "stability-trajectory", title: "The trajectory here",
      note: "Distance from the goal, from a start of ones." });
    this.eigenvalues = new Picture(side, { id: "stability-eigenvalues", title: "Its eigenvalues", kind: "square",
      note: "Inside the circle a part of the error shrinks; outside it grows." });
    this.cross = { x: el("span", { class: "cross x", "aria-hidden": "true" }), y: el("span", { class: "cross y", "aria-hidden": "true" }) };
    this.map.frame.append(this.cross.x, this.cross.y);
    this.handle = new Handle(this.map, { label: "The pair (α, c): drag, or use the arrow keys", vertical: true,
      moved: (x, y) => this.aim(x, y, true) });
    this.handle.key = (event) => this.keyed(event);
    this.map.drawn = () => { const { alpha, share } = this.pointer ?? this.place(); this.putCross(alpha, share); this.putHandle(); };
  }

  listen() {
    this.questions = new Questions({
      [POINT]: (answer) => { this.point = answer; this.panel.clear(); this.drawPoint(); },
      "stability-map": (answer) => { this.field = answer; this.panel.clear(); this.map.draw((ink) => map(this.field, ink)); },
      "stability-windows": (answer) => { this.windows.textContent = answer.says; },
      problem: (answer) => { this.limits = answer; if (answer.phi) this.editor?.show(answer); },
      stories: ({ stories }) => this.drawStories(stories),
    }, (parameter, reason) => this.refuse(parameter, reason));
    const { plot } = this.map;
    plot.addEventListener("pointermove", (event) => {
      const place = placeOf(plot, event);
      if (event.pointerType === "mouse" && place?.inside) this.aim(place.x, place.y, event.buttons === 1);
    });
    plot.addEventListener("pointerdown", (event) => {
      const place = placeOf(plot, event);
      if (place?.inside) this.aim(place.x, place.y, true);
    });
    plot.addEventListener("pointerleave", () => { this.pointer = null; this.askPoint(); this.putHandle(); });
  }

  refuse(parameter, reason) {
    this.panel.clear();
    const ours = ["phi", "P", "d"].includes(parameter);
    if (ours && this.editor) { this.details.open = true; this.editor.refuse(`${parameter}: ${reason}`); }
    else this.panel.refuse(parameter, reason);
  }

  // ---- state ----

  /** The problem as the API wants it. */
  source() {
    const { context } = this;
    const source = { problem: context.text("problem", DEFAULTS.problem), gamma: context.number("gamma", DEFAULTS.gamma) };
    if (source.problem === "own")
      for (const name of ["phi", "P", "d"]) {
        try { source[name] = JSON.parse(context.text(name, "null")) ?? undefined; } catch { /* the API has a default */ }
      }
    return source;
  }

  place() {
    return { alpha: this.context.number("alpha", DEFAULTS.alpha), share: 1 - this.context.number("c", DEFAULTS.c) };
  }

  changed(name, value) {
    if (name === "problem" || name === "gamma") this.forgetStory();
    if (name === "problem" && value === "own" && this.limits?.phi)
      this.change({ problem: "own", phi: this.limits.phi, P: this.limits.P, d: this.limits.d });
    else this.change({ [name]: value });
    if (name === "problem" && value === "own" && this.details) this.details.open = true;
  }

  change(patch) {
    const text = Object.entries(patch).map(([name, value]) => [name, Array.isArray(value) ? JSON.stringify(value) : value]);
    this.context.set(Object.fromEntries(text));
    this.pointer = null;
    this.update();
  }

  /** Look at a place of the map; keep it where the pointer is down. */
  aim(alpha, share, keep) {
    const inside = (value, low, high) => Number(Math.min(high, Math.max(low, value)).toPrecision(4));
    const c = this.snapped("c", Number((1 - inside(share, 1e-4, 1)).toFixed(7)));
    this.pointer = { alpha: this.snapped("alpha", inside(alpha, 1e-3, 10)), share: 1 - c };
    if (keep) this.context.set({ alpha: this.pointer.alpha, c });
    this.putCross(this.pointer.alpha, this.pointer.share);
    this.putHandle();
    this.askPoint();
    if (keep) this.showState();
  }

  snapped(name, value) {
    const axis = exportedAxis(POINT, name);
    return axis ? axis[nearest(axis, value)] : value;
  }

  keyed(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const factor = event.shiftKey ? 1.6 : 1.06;
    const { alpha, share } = this.place();
    this.aim(alpha * factor ** way[0], share * factor ** way[1], true);
    this.pointer = null;
  }

  update() {
    this.showState();
    const source = this.source();
    const wanted = JSON.stringify(source);
    if (wanted !== this.wanted) {
      if (this.wanted && !isStatic) { // a coarse map while a finger moves, the fine one when it rests
        this.questions.ask("stability-map", { ...source, ...IN_PASSING });
        this.askMap(source);
      } else this.questions.ask("stability-map", source);
      this.questions.ask("problem", source);
      this.editor?.refuse("");
    }
    this.wanted = wanted;
    this.askPoint();
    const { alpha, share } = this.place();
    this.putCross(alpha, share);
    this.putHandle();
  }

  showState() {
    const { alpha, share } = this.place();
    this.panel.show({ ...this.source(), alpha, c: Number((1 - share).toFixed(8)) });
  }

  askPoint() {
    const at = this.pointer ?? this.place();
    const pair = { alpha: at.alpha, c: Math.min(0.9999, Number((1 - at.share).toFixed(8))) };
    this.questions.ask(POINT, { ...this.source(), ...pair });
    this.askWindows({ ...this.source(), ...pair });
  }

  // ---- drawing ----

  putCross(alpha, share) {
    const at = pixelsOf(this.map.plot, alpha, share);
    if (!at) return;
    Object.assign(this.cross.x.style, { left: `${at.left}px`, top: `${at.size.t}px`, height: `${at.size.h}px` });
    Object.assign(this.cross.y.style, { top: `${at.top}px`, left: `${at.size.l}px`, width: `${at.size.w}px` });
  }

  putHandle() {
    const { alpha, share } = this.place();
    this.handle.place(alpha, share);
  }

  drawPoint() {
    const { point } = this;
    this.readout.textContent = `α = ${show(point.alpha)}, c = ${show(point.c, 5)}: ρ = ${show(point.rho, 7)}, ` +
      `${point.stable ? "settles" : "runs away"}. ${point.says}`;
    this.readout.dataset.stable = point.stable;
    this.trajectory.draw((ink) => trajectory(point, ink));
    this.eigenvalues.draw((ink) => eigenvalues(point, ink));
    this.python.show(point.python);
  }

  drawStories(stories) {
    this.stories.replaceChildren(...stories.map((story) => el("button", { type: "button", "data-story": story.id,
      onclick: () => this.tell(story) }, story.title)));
    const told = stories.find((story) => story.id === this.context.state.story);
    if (told) this.story.textContent = told.text;
    this.markStory();
  }

  tell(story) {
    this.story.textContent = story.text;
    const { problem, gamma, alpha, c } = story;
    this.change({ problem, gamma, alpha, c, story: story.id, phi: null, P: null, d: null });
    this.markStory();
  }

  forgetStory() {
    this.context.set({ story: null });
    this.story.textContent = "";
    this.markStory();
  }

  markStory() {
    for (const button of this.stories.children)
      button.setAttribute("aria-pressed", String(button.dataset.story === this.context.state.story));
  }

  unmount() {
    this.questions.close();
    this.handle.remove();
    for (const picture of [this.map, this.trajectory, this.eigenvalues]) picture.remove();
  }
}
