// Room 5: agents that really train, on this machine, with α and c under your fingers.

import { Panel } from "../controls.js";
import { el, prose, show } from "../dom.js";
import { palette } from "../palette.js";
import { ArmCard } from "./live_arm.js";
import { LiveCharts } from "./live_charts.js";

export const id = "live";
export const title = "Live agent";
export const short = "Live";
export const lead = "A real agent learns while you watch. Its sliders act on it at once: take its target network away, " +
  "see what happens, and give it back.";

const ARM_PRESETS = {
  "soft": { alpha: 0.001, c: 0.99, target: "on" },
  "same-alpha": { alpha: 0.001, c: 0.99, target: "off" },
  "smaller-alpha": { alpha: 0.00001, c: 0.99, target: "off" },
  "hasty": { alpha: 0.01, c: 0.99, target: "on" },
};
const PRESET_WORDS = {
  "soft": "soft: α, target at c",
  "same-alpha": "same α, no target",
  "smaller-alpha": "(1−c)α, no target",
  "hasty": "10 α, target at c",
};
const ACTIONS = {
  "CartPole-v1": ["left", "right"],
  "LunarLander-v3": ["nothing", "left engine", "main engine", "right engine"],
};

export function mount(container, context) {
  return new Live(container, context);
}

/** Arms in the address: soft~0.001~0.99~on,same-alpha~0.001~0.99~off */
function readArms(text) {
  const arms = text.split(",").map((part) => part.split("~")).filter(([name]) => ARM_PRESETS[name])
    .map(([name, alpha, c, target]) => ({
      name,
      alpha: Number(alpha) || ARM_PRESETS[name].alpha,
      c: Number.isNaN(Number(c)) || c === undefined ? ARM_PRESETS[name].c : Number(c),
      target: target === "off" || target === "on" ? target : ARM_PRESETS[name].target,
    }));
  const seen = new Set();
  return arms.filter(({ name }) => !seen.has(name) && seen.add(name)).slice(0, 4);
}

class Live {
  constructor(container, context) {
    this.context = context;
    this.run = null;
    this.cards = new Map();
    this.setUp(container);
    this.stage = container.appendChild(el("div", { class: "stage" }));
    this.status = el("p", { class: "readout", id: "live-status", role: "status" }, "Choose arms, then press Start.");
    this.arms = el("div", { class: "arms", id: "live-arms" });
    this.stage.append(this.buttons(), this.arms);
    this.charts = new LiveCharts(this.stage);
    this.update();
  }

  setUp(container) {
    this.panel = new Panel(container, [
      { kind: "choice", name: "env", label: "Environment", options: [["CartPole-v1", "CartPole"], ["LunarLander-v3", "Lunar Lander"]] },
      { kind: "slider", name: "seed", label: "Seed, shared by all arms", scale: "linear", min: 0, max: 99, whole: true },
    ], (name, value) => { this.context.set({ [name]: value }); this.update(); });
    this.boxes = Object.entries(PRESET_WORDS).map(([name, words]) => {
      const box = el("input", { type: "checkbox", value: name, id: `live-arm-${name}`, onchange: () => this.chose() });
      return { name, box, element: el("label", { class: "pick", for: box.id }, box, this.swatch(name), words) };
    });
    this.panel.element.append(
      el("fieldset", { class: "control choice" }, el("legend", {}, "Arms, side by side"), this.boxes.map(({ element }) => element)),
      prose("Each arm has a network $Q$ and, where the switch is on, a target network $T$ that follows it: " +
        "$T ← c T + (1 − c) Q$ after every gradient step.", { class: "note" }));
  }

  swatch(name) {
    const mark = el("span", { class: "swatch wide", "aria-hidden": "true" });
    mark.style.setProperty("--swatch", colourOf(name));
    return mark;
  }

  buttons() {
    const button = (text, name, action) => el("button", { type: "button", id: `live-${name}`, onclick: action }, text);
    this.keys = {
      start: button("Start", "start", () => this.start()),
      play: button("Pause", "play", () => this.order(this.paused ? "play" : "pause")),
      step: button("Step", "step", () => this.order("step")),
      reset: button("Reset", "reset", () => this.order("reset")),
      save: button("Save as a run", "save", () => this.order("save")),
      stop: button("Stop", "stop", () => this.end("Stopped.")),
    };
    return el("div", { class: "answer" }, el("div", { class: "buttons" }, Object.values(this.keys)), this.status);
  }

  // ---- what is chosen ----

  chosen() {
    return readArms(this.context.text("arms", "soft,same-alpha"));
  }

  chose() {
    const known = new Map(this.chosen().map((arm) => [arm.name, arm]));
    const arms = this.boxes.filter(({ box }) => box.checked).map(({ name }) => known.get(name) ?? { name, ...ARM_PRESETS[name] });
    if (arms.length) this.write(arms);
    this.update();
  }

  write(arms) {
    this.context.set({ arms: arms.map(({ name, alpha, c, target }) => [name, alpha, c, target].join("~")).join(",") });
  }

  update() {
    const env = this.context.text("env", "CartPole-v1");
    this.panel.show({ env, seed: this.context.number("seed", 0) });
    const arms = this.chosen();
    for (const { name, box } of this.boxes) box.checked = arms.some((arm) => arm.name === name);
    if (!this.run) this.drawCards(env, arms);
    this.enable();
  }

  drawCards(env, arms) {
    this.cards = new Map(arms.map((arm) => [arm.name,
      new ArmCard(arm, PRESET_WORDS[arm.name], colourOf(arm.name), ACTIONS[env] ?? ACTIONS["CartPole-v1"], (settings) => this.moved(arm.name, settings))]));
    this.arms.replaceChildren(...[...this.cards.values()].map((card) => card.element));
    this.charts.begin(arms.map(({ name }) => ({ name, words: PRESET_WORDS[name], colour: colourOf(name) })));
  }

  enable() {
    const running = this.run !== null;
    this.keys.start.disabled = running;
    for (const name of ["play", "step", "reset", "save", "stop"]) this.keys[name].disabled = !running;
    this.keys.step.disabled = !running || !this.paused;
    this.keys.play.textContent = running && this.paused ? "Play" : "Pause";
    for (const { box } of this.boxes) box.disabled = running;
  }

  /** A slider of an arm was moved: the running agent is told at once, the latest values last. */
  moved(name, settings) {
    this.write(this.chosen().map((arm) => (arm.name === name ? { ...arm, ...settings } : arm)));
    if (!this.run) return;
    this.wanted = { ...this.wanted, [name]: { arm: name, ...settings } };
    if (!this.telling) this.tell();
  }

  async tell() {
    this.telling = true;
    while (Object.keys(this.wanted ?? {}).length) {
      const [[name, values]] = Object.entries(this.wanted);
      delete this.wanted[name];
      await this.order("change", values, name);
    }
    this.telling = false;
  }

  // ---- the run ----

  async start() {
    const arms = this.chosen();
    this.panel.clear();
    this.keys.start.disabled = true;
    this.status.textContent = "Starting: the agent's programs are being compiled …";
    const seed = this.context.number("seed", 0);
    const answer = await post("live", { env: this.context.text("env", "CartPole-v1"), seed, arms });
    if (answer.error) { this.refuse(answer.error); this.enable(); return; }
    this.drawCards(this.context.text("env", "CartPole-v1"), arms);
    this.run = answer.id;
    this.paused = true;
    this.stream = new EventSource(`live/${this.run}/events`);
    this.stream.onmessage = ({ data }) => this.hear(JSON.parse(data));
    this.stream.onerror = () => { if (this.stream.readyState === EventSource.CLOSED) this.end("The agent is gone."); };
    this.enable();
    await this.order("play");
  }

  async order(what, values = {}, name = null) {
    if (!this.run) return;
    const answer = await post(`live/${this.run}/${what}`, values);
    if (answer.error) this.refuse(answer.error, name);
    else if (name) this.cards.get(name)?.panel.clear();
  }

  refuse({ parameter, reason }, name = null) {
    const panel = this.cards.get(name)?.panel;
    if (panel) panel.refuse(`${parameter}-${name}`, reason);
    else this.panel.refuse(parameter === "settings" ? "" : parameter, reason);
    if (!name) this.status.textContent = "Not started.";
  }

  hear(event) {
    const hears = {
      frame: () => this.frame(event),
      records: () => this.charts.add(event.rows),
      changed: () => this.charts.mark(event),
      reset: () => this.charts.clear(),
      saved: () => this.say(`Saved as ${event.path}, ${event.env_steps} steps: softstep watch, eval and train --config read it.`),
      "not-saved": () => this.say(`Not saved: ${event.message}`),
      failed: () => this.end(`The agent failed: ${event.message}`),
      ended: () => this.end("The agent has ended."),
    };
    hears[event.kind]?.();
  }

  say(words) {
    this.said = words;
    clearTimeout(this.forget);
    this.forget = setTimeout(() => { this.said = null; }, 12000);
    this.status.textContent = words;
  }

  frame(event) {
    if (this.paused !== event.paused) { this.paused = event.paused; this.enable(); }
    const pace = event.paused ? "paused" : `${show(event.steps_per_second, 3)} steps per second and arm`;
    if (!this.said) this.status.textContent = `${event.env_steps.toLocaleString("en")} environment steps, ` +
      `${event.gradient_steps.toLocaleString("en")} gradient steps, ${pace}`;
    for (const arm of event.arms) this.cards.get(arm.name)?.frame(arm, this.context.reducedMotion);
  }

  end(words) {
    if (!this.run) return;
    post(`live/${this.run}/stop`, {});
    this.stream.close();
    this.run = null;
    this.enable();
    this.say(words);
  }

  unmount() {
    this.end("");
    this.charts.remove();
  }
}

/** An arm's colour: its own in the whole product, or the first that is free. */
function colourOf(name) {
  return palette.arms[name]?.colour ?? palette.fallback.at(-1);
}

async function post(path, values) {
  try {
    const response = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values), keepalive: true,
    });
    const answer = await response.json().catch(() => ({}));
    return response.ok ? answer : { error: answer.error ?? { parameter: "", reason: `The server answered ${response.status}.` } };
  } catch {
    return { error: { parameter: "", reason: "The server does not answer. Is softstep explore still running?" } };
  }
}
