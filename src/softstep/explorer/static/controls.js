// Controls with a label, a slider and a value one can type; a refused value says why, right there.

import { exportedAxis, nearest } from "./api.js";
import { el, math, save } from "./dom.js";

const TICKS = 1000;

/** From a value to a slider's position and back; positions run from 0 to 1. */
const SCALES = {
  linear: {
    toPlace: (value, { min, max }) => (value - min) / (max - min),
    fromPlace: (place, { min, max }) => min + place * (max - min),
  },
  log: {
    toPlace: (value, { min, max }) => Math.log(value / min) / Math.log(max / min),
    fromPlace: (place, { min, max }) => min * (max / min) ** place,
  },
  // for c: equal steps in log(1 − c), from c = 0 at the left to c = max at the right
  complement: {
    toPlace: (value, { max }) => Math.log(1 - value) / Math.log(1 - max),
    fromPlace: (place, { max }) => 1 - (1 - max) ** place,
  },
};

/** Three significant digits, for c of 1 − c: .9, .99, .995. */
function rounded(value, spec) {
  if (spec.whole) return Math.round(value);
  if (spec.scale === "complement") return Number((1 - Number((1 - value).toPrecision(3))).toFixed(8));
  if (spec.scale === "log") return Number(value.toPrecision(3));
  return Number(value.toFixed(spec.decimals ?? 2));
}

function labelled(text) {
  return text.split("$").map((part, i) => (i % 2 ? math(part) : part));
}

class Slider {
  constructor(spec, change) {
    this.spec = spec;
    this.axis = exportedAxis(spec.endpoint, spec.name);
    const id = `control-${spec.name}`;
    this.range = el("input", {
      type: "range", id, min: 0, max: this.axis ? this.axis.length - 1 : TICKS, step: 1, "aria-describedby": `${id}-error`,
    });
    this.box = el("input", {
      type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false", id: `${id}-value`,
      "aria-label": `${spec.spoken ?? spec.label.replaceAll("$", "")}, typed`, "aria-describedby": `${id}-error`,
    });
    this.error = el("p", { class: "error", id: `${id}-error`, role: "alert" });
    this.element = el("div", { class: "control" },
      el("label", { for: id }, ...labelled(spec.label)), this.box, this.range, this.error);
    this.range.addEventListener("input", () => this.slid(change));
    this.box.addEventListener("change", () => this.typed(change));
    if (this.axis) this.box.readOnly = true;
  }

  slid(change) {
    const place = Number(this.range.value);
    const value = this.axis ? this.axis[place] : rounded(SCALES[this.spec.scale].fromPlace(place / TICKS, this.spec), this.spec);
    this.write(value, false);
    change(this.spec.name, value);
  }

  typed(change) {
    const value = Number(this.box.value.trim().replace(",", ".").replace("−", "-"));
    if (this.box.value.trim() === "" || Number.isNaN(value)) this.refuse(`${this.box.value || "Nothing"} is no number.`);
    else change(this.spec.name, value);
  }

  write(value, move = true) {
    if (document.activeElement !== this.box || !move) this.box.value = String(Number(Number(value).toPrecision(8)));
    this.range.setAttribute("aria-valuetext", this.box.value);
    if (!move) return;
    const place = this.axis ? nearest(this.axis, value)
      : TICKS * Math.min(1, Math.max(0, SCALES[this.spec.scale].toPlace(value, this.spec)));
    this.range.value = String(Math.round(place));
  }

  refuse(reason) {
    this.error.textContent = reason;
    this.box.toggleAttribute("aria-invalid", Boolean(reason));
  }
}

class Choice {
  constructor(spec, change) {
    const axis = exportedAxis(spec.endpoint, spec.name);
    const options = spec.options.filter(([value]) => !axis || axis.some((known) => String(known) === value));
    this.error = el("p", { class: "error", role: "alert" });
    this.inputs = options.map(([value]) =>
      el("input", { type: "radio", name: `control-${spec.name}`, value, onchange: () => change(spec.name, value) }));
    this.element = el("fieldset", { class: "control choice" }, el("legend", {}, ...labelled(spec.label)),
      el("div", { class: "segments" },
        options.map(([, label], i) => el("label", {}, this.inputs[i], el("span", {}, ...labelled(label))))),
      this.error);
  }

  write(value) {
    for (const input of this.inputs) input.checked = input.value === String(value);
  }

  refuse(reason) {
    this.error.textContent = reason;
  }
}

class Select {
  constructor(spec, change) {
    const axis = exportedAxis(spec.endpoint, spec.name);
    const options = spec.options.filter(([value]) => !axis || axis.includes(value));
    const id = `control-${spec.name}`;
    this.error = el("p", { class: "error", role: "alert" });
    this.select = el("select", { id, onchange: () => change(spec.name, this.select.value) },
      options.map(([value, label]) => el("option", { value }, label)));
    this.element = el("div", { class: "control" }, el("label", { for: id }, ...labelled(spec.label)), this.select, this.error);
  }

  write(value) {
    this.select.value = String(value);
  }

  refuse(reason) {
    this.error.textContent = reason;
  }
}

class Words {
  constructor(spec, change) {
    const id = `control-${spec.name}`;
    this.error = el("p", { class: "error", id: `${id}-error`, role: "alert" });
    this.box = el("input", { type: "text", id, maxlength: spec.longest, spellcheck: "false", autocomplete: "off",
      autocapitalize: "off", class: "wide", "aria-describedby": `${id}-error`,
      oninput: () => change(spec.name, this.box.value) });
    this.element = el("div", { class: "control" }, el("label", { for: id }, ...labelled(spec.label)), this.box, this.error);
  }

  write(value) {
    if (document.activeElement !== this.box) this.box.value = value;
  }

  refuse(reason) {
    this.error.textContent = reason;
    this.box.toggleAttribute("aria-invalid", Boolean(reason));
  }
}

const KINDS = { slider: Slider, choice: Choice, select: Select, words: Words };

/** A group of controls. change(name, value) is told of every change; show(values) writes them back. */
export class Panel {
  constructor(parent, specs, change) {
    this.controls = new Map();
    this.general = el("p", { class: "error", role: "alert" });
    this.element = el("div", { class: "controls" });
    for (const spec of specs) {
      if (spec.endpoint && exportedAxis(spec.endpoint, spec.name) === null) continue;
      const control = new KINDS[spec.kind](spec, change);
      this.controls.set(spec.name, control);
      this.element.append(control.element);
    }
    this.element.append(this.general);
    parent.append(this.element);
  }

  show(values) {
    for (const [name, value] of Object.entries(values)) this.controls.get(name)?.write(value);
  }

  hide(name, hidden) {
    const control = this.controls.get(name);
    if (control) control.element.hidden = hidden;
  }

  refuse(parameter, reason) {
    const control = this.controls.get(parameter);
    if (control) control.refuse(reason);
    else this.general.textContent = parameter ? `${parameter}: ${reason}` : reason;
  }

  clear() {
    this.general.textContent = "";
    for (const control of this.controls.values()) control.refuse("");
  }
}

/** "Copy as Python": the lines that give the numbers on the screen. */
export class PythonBox {
  constructor(parent) {
    this.code = el("code");
    this.said = el("span", { class: "said", role: "status" });
    this.element = el("details", { class: "python" }, el("summary", {}, "These numbers in Python"),
      el("div", { class: "tools" },
        el("button", { type: "button", onclick: () => this.copy() }, "Copy as Python"),
        el("button", { type: "button", onclick: () => save("softstep_state.py", this.code.textContent + "\n", "text/x-python") }, "Save"),
        this.said),
      el("pre", { tabindex: 0, role: "region", "aria-label": "Python lines" }, this.code));
    parent.append(this.element);
  }

  show(text) {
    if (this.code.textContent !== text) this.code.textContent = text;
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.code.textContent);
      this.said.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(this.code);
      this.said.textContent = "Selected: press Ctrl+C.";
    }
    setTimeout(() => { this.said.textContent = ""; }, 2500);
  }
}
