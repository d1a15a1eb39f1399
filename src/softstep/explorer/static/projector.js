// The projector: one figure of a room fills the screen, in large type, with the room's sliders under it.

import { el } from "./dom.js";
import { SHOWN } from "./room_view.js";

const TYPED = "input[type='text'], select"; // where the keys mean letters
const MOVED = "input, select, .handle, .stepper"; // where the arrow keys move something
const ARROWS = { ArrowLeft: -1, ArrowRight: 1 };
const PAGES = { PageUp: -1, PageDown: 1 }; // the keys of a presenter's remote control

/** The projector of a shown room. `projector` in the room's state names the figure that it shows; without it the projector is off. */
export class Projector {
  /** `button` turns the projector on, and has the focus again when it is off. */
  constructor({ room, container, context }, button) {
    Object.assign(this, { room, container, context, button });
    const control = (text, label, action) => el("button", { type: "button", "aria-label": label, title: label, onclick: action }, text);
    this.number = el("output", {});
    this.steps = { [-1]: control("‹", "Previous figure", () => this.step(-1)), 1: control("›", "Next figure", () => this.step(1)) };
    this.bar = el("div", { class: "projector-bar", role: "group", "aria-label": "Projector" }, this.steps[-1], this.number, this.steps[1],
      control("Leave", "Leave the projector (Escape)", () => this.leave()));
    container.prepend(this.bar);
    this.listener = (event) => this.onKey(event);
    document.addEventListener("keydown", this.listener);
    this.update();
  }

  isOn() {
    return this.context.state.projector !== undefined;
  }

  /** What the room shows at present; a figure may be hidden for some settings. */
  stages() {
    return [...this.container.querySelectorAll(SHOWN)].filter((stage) => !stage.hidden);
  }

  /** The figure that the state names, or else the first. */
  current() {
    const stages = this.stages();
    return stages.find((stage) => this.nameOf(stage) === this.context.state.projector) ?? stages[0];
  }

  /** A figure's name in the address: its id without that of the room. */
  nameOf(stage) {
    const id = stage.id || stage.querySelector(".plot").id;
    return id.replace(this.container.id.replace(/^room-/, ""), "").slice(1);
  }

  /** Show what the state says. */
  update() {
    const stages = this.stages(), current = this.current();
    document.documentElement.toggleAttribute("data-projector", this.isOn());
    for (const stage of this.container.querySelectorAll(SHOWN)) stage.toggleAttribute("data-stage", this.isOn() && stage === current);
    const index = stages.indexOf(current);
    this.number.textContent = `${this.room.title}: ${index + 1} of ${stages.length}`;
    this.steps[-1].disabled = index <= 0;
    this.steps[1].disabled = index >= stages.length - 1;
  }

  show(stage) {
    this.context.set({ projector: this.nameOf(stage) });
    this.update();
  }

  enter() {
    this.show(this.current());
    this.bar.querySelector("button:enabled").focus();
  }

  leave() {
    const last = this.current();
    this.context.set({ projector: null });
    this.update();
    this.button.focus();
    last.scrollIntoView({ block: "center" });
  }

  /** Show the figure that comes some figures later, if there is one. */
  step(figures) {
    const stages = this.stages();
    const next = stages[stages.indexOf(this.current()) + figures];
    if (next) this.show(next);
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const { target, key } = event;
    const steps = PAGES[key] ?? (target.closest?.(MOVED) ? 0 : ARROWS[key]);
    if (key === "p" && !target.closest?.(TYPED)) this.isOn() ? this.leave() : this.enter();
    else if (!this.isOn()) return;
    else if (key === "Escape") this.leave();
    else if (steps) this.step(steps);
    else return;
    event.preventDefault();
  }

  close() {
    document.removeEventListener("keydown", this.listener);
    document.documentElement.removeAttribute("data-projector");
  }
}
