// Room 5: agents that really train on this machine, while their α, c and target network can be changed.

import { Panel } from "../controls.js";
import { el, formatNumber, withMath } from "../dom.js";
import { palette } from "../palette.js";
import { post, watch } from "../transport.js";
import { ArmCard } from "./live_arm.js";
import { LiveCharts } from "./live_charts.js";
import { DEFAULT_ENV, ENVIRONMENTS } from "./live_environments.js";

export const id = "live";
export const title = "Live agent";
export const short = "Live";
export const lead = "A real agent learns while you watch. Its sliders take effect at once: remove its target network, " +
  "see what happens, and put it back.";

const ARM_PRESETS = {
  "soft": { alpha: 0.001, c: 0.99, target: "on" },
  "same-alpha": { alpha: 0.001, c: 0.99, target: "off" },
  "smaller-alpha": { alpha: 0.00001, c: 0.99, target: "off" },
  "hasty": { alpha: 0.01, c: 0.99, target: "on" },
};
const ARM_LABELS = {
  "soft": "soft: α, target network with c",
  "same-alpha": "same α, no target network",
  "smaller-alpha": "(1−c)α, no target network",
  "hasty": "10 α, target network with c",
};
const MAX_ARMS = 4;
const MESSAGE_SECONDS = 12;

export function mount(container, context) {
  return new Live(container, context);
}

/** Read the arms in the address, for example soft~0.001~0.99~on,same-alpha~0.001~0.99~off. */
function readArms(text) {
  const arms = text.split(",").map((part) => part.split("~")).filter(([name]) => ARM_PRESETS[name])
    .map(([name, alpha, c, target, schedule]) => ({
      name,
      alpha: Number(alpha) || ARM_PRESETS[name].alpha,
      c: Number.isNaN(Number(c)) || c === undefined ? ARM_PRESETS[name].c : Number(c),
      target: target === "off" || target === "on" ? target : ARM_PRESETS[name].target,
      schedule: schedule === "harmonic" ? schedule : "constant",
    }));
  const names = new Set();
  return arms.filter(({ name }) => !names.has(name) && names.add(name)).slice(0, MAX_ARMS);
}

class Live {
  constructor(container, context) {
    this.context = context;
    this.run = null;
    this.cards = new Map();
    this.pendingChanges = new Map();
    this.addControls(container);
    const content = container.appendChild(el("div", { class: "content" }));
    this.status = el("p", { class: "readout", id: "live-status", role: "status" }, "Choose arms, then press Start.");
    this.arms = el("div", { class: "arms", id: "live-arms" });
    content.append(this.makeButtons(), this.arms);
    this.charts = new LiveCharts(content);
    this.update();
  }

  addControls(container) {
    const environments = Object.entries(ENVIRONMENTS).map(([env, { label }]) => [env, label]);
    this.panel = new Panel(container, [
      { kind: "choice", name: "env", label: "Environment, and the algorithm for it", options: environments },
      { kind: "slider", name: "seed", label: "Seed, shared by all arms", scale: "linear", min: 0, max: 99, whole: true },
    ], (name, value) => { this.context.set({ [name]: value }); this.update(); });
    this.options = Object.entries(ARM_LABELS).map(([name, label]) => {
      const box = el("input", { type: "checkbox", value: name, id: `live-arm-${name}`, onchange: () => this.onSelection() });
      return { name, box, element: el("label", { class: "arm-option", for: box.id }, box, this.swatch(name), label) };
    });
    this.note = el("div", { id: "live-note" });
    this.panel.element.append(
      el("fieldset", { class: "control choice" }, el("legend", {}, "Arms, side by side"), this.options.map(({ element }) => element)),
      this.note,
      el("p", { class: "note" }, "What agents reached at many α and c is in the ", el("a", { href: "#/atlas" }, "Atlas"), "."));
  }

  swatch(name) {
    const swatch = el("span", { class: "swatch wide", "aria-hidden": "true" });
    swatch.style.setProperty("--swatch", colourOf(name));
    return swatch;
  }

  makeButtons() {
    const button = (text, name, action) => el("button", { type: "button", id: `live-${name}`, onclick: action }, text);
    this.buttons = {
      start: button("Start", "start", () => this.start()),
      play: button("Pause", "play", () => this.send(this.paused ? "play" : "pause")),
      step: button("Step", "step", () => this.send("step")),
      reset: button("Reset", "reset", () => this.send("reset")),
      save: button("Save as a run", "save", () => this.send("save")),
      stop: button("Stop", "stop", () => this.end("Stopped.")),
    };
    return el("div", { class: "answer" }, el("div", { class: "buttons" }, Object.values(this.buttons)), this.status);
  }

  // ---- settings ----

  env() {
    const env = this.context.text("env", DEFAULT_ENV);
    return Object.hasOwn(ENVIRONMENTS, env) ? env : DEFAULT_ENV;
  }

  seed() {
    return this.context.number("seed", 0);
  }

  selectedArms() {
    return readArms(this.context.text("arms", "soft,same-alpha"));
  }

  onSelection() {
    const current = new Map(this.selectedArms().map((arm) => [arm.name, arm]));
    const arms = this.options.filter(({ box }) => box.checked).map(({ name }) => current.get(name) ?? { name, ...ARM_PRESETS[name] });
    if (arms.length) this.writeArms(arms);
    this.update();
  }

  writeArms(arms) {
    this.context.set({ arms: arms.map(({ name, alpha, c, target, schedule }) =>
      [name, alpha, c, target, ...(schedule === "harmonic" ? [schedule] : [])].join("~")).join(",") });
  }

  update() {
    this.panel.setValues({ env: this.env(), seed: this.seed() });
    const arms = this.selectedArms();
    for (const { name, box } of this.options) box.checked = arms.some((arm) => arm.name === name);
    if (!this.run) this.drawCards(arms);
    this.enableButtons();
  }

  drawCards(arms) {
    const environment = ENVIRONMENTS[this.env()];
    this.note.replaceChildren(...[environment.words.note, environment.expect].filter(Boolean)
      .map((text) => el("p", { class: "note" }, ...withMath(text))));
    this.cards = new Map(arms.map((arm) => [arm.name, new ArmCard(arm, {
      label: ARM_LABELS[arm.name], colour: colourOf(arm.name), environment, onChange: (settings) => this.changeArm(arm.name, settings),
    })]));
    this.arms.replaceChildren(...[...this.cards.values()].map((card) => card.element));
    this.charts.setArms(arms.map(({ name }) => ({ name, label: ARM_LABELS[name], colour: colourOf(name) })));
  }

  enableButtons() {
    const running = this.run !== null;
    this.buttons.start.disabled = running;
    for (const name of ["play", "step", "reset", "save", "stop"]) this.buttons[name].disabled = !running;
    this.buttons.step.disabled = !running || !this.paused;
    this.buttons.play.textContent = running && this.paused ? "Play" : "Pause";
    for (const { box } of this.options) box.disabled = running;
  }

  /** Change an arm's settings, in the address and in the running agent. */
  changeArm(name, settings) {
    this.writeArms(this.selectedArms().map((arm) => (arm.name === name ? { ...arm, ...settings } : arm)));
    if (!this.run) return;
    this.pendingChanges.set(name, { arm: name, ...settings });
    if (!this.sendingChanges) this.sendChanges();
  }

  /** Send the pending changes one after another; of several for one arm only the latest is sent. */
  async sendChanges() {
    this.sendingChanges = true;
    while (this.pendingChanges.size) {
      const [[name, values]] = this.pendingChanges;
      this.pendingChanges.delete(name);
      await this.send("change", values, name);
    }
    this.sendingChanges = false;
  }

  // ---- the run ----

  async start() {
    const arms = this.selectedArms();
    this.panel.clearErrors();
    this.buttons.start.disabled = true;
    this.status.textContent = "Starting: compiling the agent's programs …";
    const answer = await request("live", { env: this.env(), seed: this.seed(), arms });
    if (answer.error) {
      this.panel.showError(answer.error.parameter === "settings" ? "" : answer.error.parameter, answer.error.reason);
      this.status.textContent = "Not started.";
      this.enableButtons();
      return;
    }
    this.drawCards(arms);
    this.run = answer.id;
    this.paused = true;
    this.unwatch = watch(`live/${this.run}/events`, (event) => this.onEvent(event), () => this.end("The agent is gone."));
    this.enableButtons();
    await this.send("play");
  }

  /** Send a command to the agent; `armName` names the arm whose card shows an error. */
  async send(command, values = {}, armName = null) {
    if (!this.run) return;
    const { error } = await request(`live/${this.run}/${command}`, values);
    const panel = this.cards.get(armName)?.panel;
    if (!error) panel?.clearErrors();
    else if (panel) panel.showError(`${error.parameter}-${armName}`, error.reason);
    else this.panel.showError(error.parameter === "settings" ? "" : error.parameter, error.reason);
  }

  onEvent(event) {
    const handlers = {
      frame: () => this.showFrame(event),
      records: () => this.charts.add(event.rows),
      changed: () => this.charts.mark(event),
      reset: () => this.charts.clear(),
      saved: () => this.showMessage(`Saved as ${event.path} (${event.env_steps} steps). Open it with softstep watch, eval or train --config.`),
      "not-saved": () => this.showMessage(`Not saved: ${event.message}`),
      failed: () => this.end(`The agent failed: ${event.message}`),
      ended: () => this.end("The agent has ended."),
    };
    handlers[event.kind]?.();
  }

  /** Show a message in the status line for a while. */
  showMessage(text) {
    this.message = text;
    clearTimeout(this.messageTimer);
    this.messageTimer = setTimeout(() => { this.message = null; }, 1000 * MESSAGE_SECONDS);
    this.status.textContent = text;
  }

  showFrame(event) {
    if (this.paused !== event.paused) { this.paused = event.paused; this.enableButtons(); }
    const speed = event.paused ? "paused" : `${formatNumber(event.steps_per_second, 3)} steps per second per arm`;
    if (!this.message) this.status.textContent = `${event.env_steps.toLocaleString("en")} environment steps, ` +
      `${event.gradient_steps.toLocaleString("en")} gradient steps, ${speed}`;
    for (const arm of event.arms) this.cards.get(arm.name)?.showFrame(arm, this.context.reducedMotion);
  }

  end(text) {
    if (!this.run) return;
    request(`live/${this.run}/stop`, {});
    this.unwatch();
    this.run = null;
    this.enableButtons();
    this.showMessage(text);
  }

  unmount() {
    this.end("");
    this.charts.remove();
  }
}

/** An arm's own colour or, for an arm without one, the last of the fallback colours. */
function colourOf(name) {
  return palette.arms[name] ?? palette.fallback.at(-1);
}

/** The answer to a request, with an `error` if it was refused. */
function request(path, values) {
  return post(path, values).catch(({ parameter = "", message }) => ({ error: { parameter, reason: message } }));
}
