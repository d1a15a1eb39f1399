// One arm of a live run: its sliders, what its policy does, and what it thinks.

import { Panel } from "../controls.js";
import { el, show } from "../dom.js";
import { Scene } from "./scenes.js";

export class ArmCard {
  /** moved(settings) is told of α, c and the switch whenever one of them is moved. */
  constructor({ name, alpha, c, target }, words, colour, actions, moved) {
    this.name = name;
    this.colour = colour;
    this.settings = { alpha, c, target };
    this.moved = moved;
    this.canvas = el("canvas", { class: "scene", role: "img", "aria-label": `${words}: the greedy policy at play` });
    this.scene = new Scene(this.canvas);
    this.bars = actions.map((action) => {
      const bar = el("span", { class: "bar-fill" });
      return { bar, action, value: el("td", { class: "tabular" }, "–"), row: null };
    });
    const rows = this.bars.map((entry) => (entry.row = el("tr", {}, el("th", { scope: "row" }, entry.action),
      entry.value, el("td", { class: "bar-cell", "aria-hidden": "true" }, entry.bar))));
    this.facts = el("p", { class: "tabular quiet", id: `live-facts-${name}` }, "not yet started");
    this.element = el("section", { class: "arm", id: `live-card-${name}`, "aria-label": words },
      el("h2", {}, words), this.canvas, this.facts,
      el("table", { class: "q-values" }, el("caption", { class: "quiet" }, "Q-values; the bars compare them"), el("tbody", {}, rows)));
    this.element.style.setProperty("--arm", colour);
    this.sliders();
  }

  sliders() {
    const own = (name) => `${name}-${this.name}`;
    this.panel = new Panel(this.element, [
      { kind: "slider", name: own("alpha"), label: "$α$ step size", scale: "log", min: 1e-6, max: 1 },
      { kind: "slider", name: own("c"), label: "$c$ kept of the old target", scale: "complement", max: 0.9999 },
      { kind: "choice", name: own("target"), label: "Target network", options: [["on", "on"], ["off", "none"]] },
    ], (name, value) => this.change(name.slice(0, name.indexOf("-")), value));
    this.show();
  }

  change(name, value) {
    this.settings = { ...this.settings, [name]: value };
    this.show();
    this.moved(this.settings);
  }

  show() {
    this.panel.show(Object.fromEntries(Object.entries(this.settings).map(([name, value]) => [`${name}-${this.name}`, value])));
    this.element.classList.toggle("no-target", this.settings.target === "off");
  }

  frame(arm, still) {
    const { scene } = arm;
    if (!still || scene.episode !== this.episode || scene.ended) this.scene.show(scene, this.colour);
    this.episode = scene.episode;
    this.facts.textContent = arm.diverged ? "Diverged: its numbers are no longer finite."
      : `return ${show(arm.return, 3)}, last 20 of ${arm.episodes} episodes\nthis game ${show(scene.return, 3)}`;
    this.facts.classList.toggle("wrong", arm.diverged);
    const finite = arm.q_values.map((value) => value ?? 0);
    const low = Math.min(...finite);
    const height = Math.max(1e-9, Math.max(...finite) - low);
    const best = finite.indexOf(Math.max(...finite));
    this.bars.forEach((entry, i) => {
      entry.value.textContent = show(arm.q_values[i], 3);
      entry.bar.style.width = `${6 + (94 * (finite[i] - low)) / height}%`;
      entry.row.classList.toggle("chosen", i === best);
    });
  }
}
