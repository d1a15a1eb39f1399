// One arm of a live run: its sliders, its policy at play, and what it is about to do.

import { Panel } from "../controls.js";
import { el, formatNumber } from "../dom.js";
import { choiceTable } from "./live_choice.js";
import { Scene } from "./scenes.js";

const SHOWN_RETURNS = 20; // training episodes in the mean return of a frame

export class ArmCard {
  /** `onChange(settings)` is called with α, c and the target switch whenever the user changes one of them. */
  constructor({ name, alpha, c, target, schedule = "constant" }, { label, colour, environment, onChange }) {
    this.name = name;
    this.colour = colour;
    this.settings = { alpha, c, target, schedule };
    this.onChange = onChange;
    const canvas = el("canvas", { class: "scene", role: "img", "aria-label": `${label}: the greedy policy playing` });
    this.scene = new Scene(canvas);
    this.choice = choiceTable(environment);
    this.facts = el("p", { class: "tabular quiet", id: `live-facts-${name}` }, "Not started yet.");
    this.element = el("section", { class: "arm", id: `live-card-${name}`, "aria-label": label },
      el("h2", {}, label), canvas, this.facts, this.choice.element);
    this.element.style.setProperty("--arm", colour);
    this.addSliders(environment.words);
  }

  addSliders(words) {
    const control = (name) => `${name}-${this.name}`;
    this.panel = new Panel(this.element, [
      { kind: "slider", name: control("alpha"), main: true, label: words.alpha, scale: "log", min: 1e-6, max: 1 },
      { kind: "slider", name: control("c"), main: true, label: words.c, scale: "complement", max: 0.9999 },
      { kind: "choice", name: control("schedule"), label: "$1 − c$ over $t$ gradient steps",
        options: [["constant", "constant"], ["harmonic", "falls as 3/((1−γ)t), γ = 0.99"]] },
      { kind: "choice", name: control("target"), main: true, label: words.target, options: [["on", "on"], ["off", "off"]] },
    ], (name, value) => this.change(name.slice(0, name.indexOf("-")), value));
    this.showSettings();
  }

  change(name, value) {
    this.settings = { ...this.settings, [name]: value };
    this.showSettings();
    this.onChange(this.settings);
  }

  showSettings() {
    this.panel.setValues(Object.fromEntries(Object.entries(this.settings).map(([name, value]) => [`${name}-${this.name}`, value])));
  }

  /** Show an arm's part of a frame; with reduced motion the scene changes only between episodes. */
  showFrame(arm, reducedMotion) {
    const { scene } = arm;
    if (!reducedMotion || scene.episode !== this.episode || scene.ended) this.scene.draw(scene, this.colour);
    this.episode = scene.episode;
    this.facts.textContent = arm.diverged ? "Diverged: its values are no longer finite."
      : `return ${formatNumber(arm.return, 3)}, mean of the last ${Math.min(SHOWN_RETURNS, arm.episodes)} of ${arm.episodes} episodes\n` +
        `return of this episode so far: ${formatNumber(scene.return, 3)}`;
    this.facts.classList.toggle("diverged", arm.diverged);
    this.choice.show(arm);
  }
}
