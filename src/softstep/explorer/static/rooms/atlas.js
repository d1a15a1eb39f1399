// Room 5: what agents measured over (α, c) in one environment, and your own pair on that map.

import { RequestQueue, exportedAxis, isStatic, nearest } from "../api.js";
import { Panel, PythonBox } from "../controls.js";
import { el } from "../dom.js";
import { DragHandle } from "../drag_handle.js";
import { Figure, dataPoint } from "../figures.js";
import { armsTable, contendersTable, map, mapTable, pairsTable } from "./atlas_figures.js";
import { ENVIRONMENTS } from "./live_environments.js";

export const id = "atlas";
export const title = "Atlas";
export const lead = "What did real agents reach, with which α and c? Every cell is a few trained agents. Put your own pair on the map, " +
  "and compare it with its neighbours, with the advice, and with no target network at all.";

const POINT = "atlas-point";
const DEFAULTS = { alpha: 0.001, c: 0.99 };
const SPECS = [
  { kind: "select", name: "env", label: "Environment", options: [] },
  { kind: "slider", name: "alpha", main: true, label: "$α$: learning rate", scale: "log", min: 1e-5, max: 1e-1 },
  { kind: "slider", name: "c", main: true, label: "$c$: share of the old target that is kept", scale: "complement", max: 0.999 },
].map((spec) => ({ ...spec, endpoint: POINT }));

export function mount(container, context) {
  return new Atlas(container, context);
}

/** Move a logarithmic coordinate by one arrow key, or by half a decade with Shift; above 1, where c = 0, it starts from 1. */
const logarithmicStep = (value, direction, large) => Math.min(1, value) * (large ? Math.sqrt(10) : 1.06) ** direction;

class Atlas {
  constructor(container, context) {
    this.context = context;
    this.panel = new Panel(container, SPECS, (name, value) => this.change({ [name]: value }));
    const content = container.appendChild(el("div", { class: "content" }));
    const layout = content.appendChild(el("div", { class: "map-layout split" }));
    this.map = new Figure(layout, { id: "atlas-map", title: "Mean greedy return at the end of training", kind: "map" });
    this.addWords(layout);
    this.scope = content.appendChild(el("div", { id: "atlas-scope" }));
    this.tables = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The map as a table" });
    this.whole = el("pre", { tabindex: 0, role: "region", "aria-label": "The whole answer of softstep advise", id: "atlas-whole" });
    this.command = el("code");
    this.contest = content.appendChild(el("section", { id: "atlas-contenders" }));
    content.append(el("details", { id: "atlas-table" }, el("summary", {}, "The map as a table"), this.tables),
      el("details", {}, el("summary", {}, "The whole answer of softstep advise"), el("p", {}, this.command), this.whole));
    this.python = new PythonBox(content);
    this.addHandle();
    this.requests = this.makeRequests();
    this.requests.send("atlas", {});
  }

  addWords(layout) {
    const lines = (name) => el("div", { id: `atlas-${name}`, "aria-live": "polite" });
    this.words = { measured: lines("measured"), advice: lines("advice"), without: lines("without") };
    const part = (heading, body) => el("section", {}, el("h2", {}, heading), body);
    this.warnings = el("details", { id: "atlas-warnings" });
    this.train = el("p", { class: "note" });
    layout.append(el("div", { class: "side" },
      el("div", { class: "answer" }, part("Measured at your pair, or nearest to it", this.words.measured)),
      part("Without a target network", this.words.without),
      part("What softstep advise says", this.words.advice), this.warnings, this.train));
  }

  addHandle() {
    this.handle = new DragHandle(this.map, { label: "Your pair (α, c): drag it, or use the arrow keys", vertical: true,
      step: logarithmicStep, onMove: (alpha, share) => this.moveTo(alpha, share) });
    this.map.onPaint = () => this.placeHandle();
    this.map.plot.addEventListener("pointerdown", (event) => {
      const point = dataPoint(this.map.plot, event);
      if (point?.inside) this.moveTo(point.x, point.y);
    });
  }

  makeRequests() {
    return new RequestQueue({
      atlas: (answer) => this.start(answer),
      "atlas-map": (answer) => { this.answer = answer; this.drawMap(); },
      "atlas-contenders": (answer) => this.drawContenders(answer),
      [POINT]: (answer) => { this.point = answer; this.panel.clearErrors(); this.drawPoint(); },
    }, (parameter, reason) => this.panel.showError(parameter, reason));
  }

  /** Offer the measured environments, and let the sliders span the maps. */
  start({ environments, alpha, c }) {
    this.environments = environments;
    this.panel.setOptions("env", environments.map((name) => [name, name]));
    this.panel.setRange("alpha", alpha);
    this.panel.setRange("c", c);
    this.update();
  }

  // ---- state ----

  state() {
    const { context } = this;
    return { env: context.text("env", this.environments[0]), alpha: context.number("alpha", DEFAULTS.alpha), c: context.number("c", DEFAULTS.c) };
  }

  change(patch) {
    this.context.set(patch);
    this.update();
  }

  /** Put the pair at a point of the map, with three digits of α and of 1 − c; above 1 on the map's axis, c is 0. */
  moveTo(alpha, share) {
    const { answer } = this;
    const clamped = (value, low, high) => Number(Math.min(high, Math.max(low, value)).toPrecision(3));
    const c = Number((1 - clamped(share, answer.range.tau, 1)).toFixed(8));
    this.change({ alpha: this.onAxis("alpha", clamped(alpha, ...answer.range.alpha)), c: this.onAxis("c", c) });
  }

  /** The nearest exported value on an exported page; otherwise the value itself. */
  onAxis(name, value) {
    const axis = exportedAxis(POINT, name);
    return axis ? axis[nearest(axis, value)] : value;
  }

  update() {
    if (!this.environments) return;
    const state = this.state();
    this.panel.setValues(state);
    if (state.env !== this.env) for (const name of ["atlas-map", "atlas-contenders"]) this.requests.send(name, { env: state.env });
    this.env = state.env;
    this.requests.send(POINT, state);
    this.placeHandle();
  }

  // ---- drawing ----

  drawMap() {
    const { answer } = this;
    this.map.draw((colours, space) => map(answer, space, colours));
    this.map.note.textContent = `${answer.env}. ` + (answer.tau.length
      ? "Point at a cell for its spread (mean ± SD) and its seeds; the row at the top has no target network."
      : "Point at a circle for its spread (mean ± SD) and its seeds.");
    this.scope.replaceChildren(...answer.says.map((text) => el("p", { class: "note" }, text)));
    this.drawTables();
  }

  /** Show the contenders of the atlas, if the environment has some. */
  drawContenders(answer) {
    const parts = [el("h2", {}, "Tuned alike: the contenders of the atlas"), ...answer.says.map((text) => el("p", { class: "note" }, text)),
      el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The contenders" }, contendersTable(answer))];
    this.contest.replaceChildren(...(answer.contenders.length ? parts : []));
  }

  drawPoint() {
    const { point } = this;
    const [lead, ...cells] = point.measured;
    this.words.measured.replaceChildren(el("p", {}, lead), el("ul", { class: "cells" }, cells.map((text) => el("li", {}, text))));
    this.words.advice.replaceChildren(...point.advice.map((text) => el("p", {}, text)));
    this.words.without.replaceChildren(el("p", {}, point.without));
    this.warnings.replaceChildren(el("summary", {}, "Its warnings"), el("ul", {}, point.warnings.map((text) => el("li", {}, text))));
    this.whole.textContent = point.whole;
    this.command.textContent = point.command;
    this.python.show(point.python);
    this.showTraining();
    this.drawTables();
  }

  /** Link to the live room with this pair, if it trains this environment. */
  showTraining() {
    const { env, alpha, c } = this.point;
    const canTrain = !isStatic && env in ENVIRONMENTS;
    const arm = `soft~${alpha}~${c}~${c === 0 ? "off" : "on"}`;
    this.train.replaceChildren(...(canTrain ? [el("a", { href: `#/live?${new URLSearchParams({ env, arms: arm })}` },
      "Watch an agent learn with this pair"), " in the live room, with that room's settings."] : []));
  }

  drawTables() {
    if (!this.answer || this.answer.env !== this.point?.env) return;
    const { learning_rate: [alpha], tau: [tau] } = this.point.nearest;
    this.tables.replaceChildren(...[mapTable(this.answer, { alpha, tau }), pairsTable(this.answer), armsTable(this.answer)].filter(Boolean));
  }

  /** Place the handle at the selected pair, at once: the next arrow key starts from there. */
  placeHandle() {
    if (!this.answer) return;
    const { alpha, c } = this.state();
    const { edges, no_target: position } = this.answer;
    this.handle.node.hidden = !(alpha >= edges.alpha[0] && alpha <= edges.alpha.at(-1) && 1 - c >= edges.tau[0]);
    this.handle.moveTo(alpha, c === 0 ? position : 1 - c);
  }

  unmount() {
    this.requests.close();
    this.handle.remove();
    this.map.remove();
  }
}
