// Controls with a label, a slider and a value to type; an invalid value shows its error right there.

import { exportedAxis, nearest } from "./api.js";
import { el, numberError, parseNumber, saveFile, withMath } from "./dom.js";

const TICKS = 1000;

/** Conversions between a slider's position, from 0 to 1, and its value. */
const SCALES = {
  linear: {
    toPosition: (value, { min, max }) => (value - min) / (max - min),
    fromPosition: (position, { min, max }) => min + position * (max - min),
  },
  log: {
    toPosition: (value, { min, max }) => Math.log(value / min) / Math.log(max / min),
    fromPosition: (position, { min, max }) => min * (max / min) ** position,
  },
  // for c: equal steps in log(1 − c), from c = 0 at the left to c = max at the right
  complement: {
    toPosition: (value, { max }) => Math.log(1 - value) / Math.log(1 - max),
    fromPosition: (position, { max }) => 1 - (1 - max) ** position,
  },
};

/** Round to three significant digits; for c, to three digits of 1 − c, for example 0.9, 0.99, 0.995. */
function rounded(value, spec) {
  if (spec.whole) return Math.round(value);
  if (spec.scale === "complement") return Number((1 - Number((1 - value).toPrecision(3))).toFixed(8));
  if (spec.scale === "log") return Number(value.toPrecision(3));
  return Number(value.toFixed(spec.decimals ?? 2));
}

const valueText = (value) => String(Number(Number(value).toPrecision(8)));

const errorLine = (id) => el("p", { class: "error", id, role: "alert" });

class Slider {
  constructor(spec, onChange) {
    this.spec = spec;
    this.axis = exportedAxis(spec.endpoint, spec.name);
    const id = `control-${spec.name}`;
    this.range = el("input", {
      type: "range", id, min: 0, max: this.axis ? this.axis.length - 1 : TICKS, step: 1, "aria-describedby": `${id}-error`,
    });
    this.box = el("input", {
      type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false", id: `${id}-value`,
      "aria-label": `${spec.label.replaceAll("$", "")}, as a number`, "aria-describedby": `${id}-error`,
    });
    this.error = errorLine(`${id}-error`);
    const [symbol, ...meaning] = spec.label.split(/(?=:)/); // where there is little room only the symbol is shown
    this.element = el("div", { class: `control ${spec.main ? "main" : ""}` },
      el("label", { for: id }, ...withMath(symbol), el("span", { class: "meaning" }, ...withMath(meaning.join("")))),
      this.box, this.range, this.error);
    this.range.addEventListener("input", () => this.onSlide(onChange));
    this.box.addEventListener("change", () => this.onType(onChange));
    if (this.axis) this.box.readOnly = true;
  }

  onSlide(onChange) {
    const position = Number(this.range.value);
    const value = this.axis ? this.axis[position]
      : rounded(SCALES[this.spec.scale].fromPosition(position / TICKS, this.spec), this.spec);
    this.box.value = valueText(value);
    onChange(this.spec.name, value);
  }

  onType(onChange) {
    const value = parseNumber(this.box.value);
    if (Number.isNaN(value)) this.showError(numberError(this.box.value));
    else onChange(this.spec.name, value);
  }

  /** Set the ends of the slider, where they are known only after the page has asked for them. */
  setRange([min, max]) {
    this.spec = { ...this.spec, min, max };
  }

  /** Show a value in the box, unless the user is typing there, and on the slider. */
  setValue(value) {
    if (document.activeElement !== this.box) this.box.value = valueText(value);
    this.range.setAttribute("aria-valuetext", valueText(value));
    const position = this.axis ? nearest(this.axis, value)
      : TICKS * Math.min(1, Math.max(0, SCALES[this.spec.scale].toPosition(value, this.spec)));
    this.range.value = String(Math.round(position));
  }

  showError(reason) {
    this.error.textContent = reason;
    this.box.setAttribute("aria-invalid", String(Boolean(reason)));
  }
}

class Choice {
  constructor(spec, onChange) {
    const axis = exportedAxis(spec.endpoint, spec.name);
    const options = spec.options.filter(([value]) => !axis || axis.some((known) => String(known) === value));
    this.error = errorLine(`control-${spec.name}-error`);
    this.inputs = options.map(([value]) =>
      el("input", { type: "radio", name: `control-${spec.name}`, value, onchange: () => onChange(spec.name, value) }));
    this.element = el("fieldset", { class: `control choice ${spec.main ? "main" : ""}` }, el("legend", {}, ...withMath(spec.label)),
      el("div", { class: "segments" },
        options.map(([, label], i) => el("label", {}, this.inputs[i], el("span", {}, ...withMath(label))))),
      this.error);
  }

  setValue(value) {
    for (const input of this.inputs) input.checked = input.value === String(value);
  }

  showError(reason) {
    this.error.textContent = reason;
  }
}

class Select {
  constructor(spec, onChange) {
    const id = `control-${spec.name}`;
    this.axis = exportedAxis(spec.endpoint, spec.name);
    this.error = errorLine(`${id}-error`);
    this.select = el("select", { id, "aria-describedby": `${id}-error`, onchange: () => onChange(spec.name, this.select.value) });
    this.element = el("div", { class: "control" }, el("label", { for: id }, ...withMath(spec.label)), this.select, this.error);
    this.setOptions(spec.options);
  }

  /** Offer these pairs of a value and its label. */
  setOptions(options) {
    this.select.replaceChildren(...options.filter(([value]) => !this.axis || this.axis.includes(value))
      .map(([value, label]) => el("option", { value }, label)));
  }

  setValue(value) {
    this.select.value = String(value);
  }

  showError(reason) {
    this.error.textContent = reason;
  }
}

class TextField {
  constructor(spec, onChange) {
    const id = `control-${spec.name}`;
    this.error = errorLine(`${id}-error`);
    this.box = el("input", { type: "text", id, maxlength: spec.maxLength, spellcheck: "false", autocomplete: "off",
      autocapitalize: "off", class: "wide", "aria-describedby": `${id}-error`,
      oninput: () => onChange(spec.name, this.box.value) });
    this.element = el("div", { class: "control" }, el("label", { for: id }, ...withMath(spec.label)), this.box, this.error);
  }

  setValue(value) {
    if (document.activeElement !== this.box) this.box.value = value;
  }

  showError(reason) {
    this.error.textContent = reason;
    this.box.setAttribute("aria-invalid", String(Boolean(reason)));
  }
}

const KINDS = { slider: Slider, choice: Choice, select: Select, text: TextField };

/**
 * A group of controls; `onChange(name, value)` is called when the user changes one. Where there is little room, on a phone and a
 * projector, the stylesheets show only those that are `main`, and a button that unfolds the others.
 */
export class Panel {
  constructor(parent, specs, onChange) {
    this.controls = new Map();
    this.generalError = el("p", { class: "error", role: "alert" });
    this.unfoldButton = el("button", { type: "button", class: "unfold", "aria-expanded": "false", onclick: () => this.unfold(!this.isUnfolded()) },
      "More controls");
    this.element = el("div", { class: "controls" }, this.unfoldButton);
    for (const spec of specs) {
      if (spec.endpoint && exportedAxis(spec.endpoint, spec.name) === null) continue;
      const control = new KINDS[spec.kind](spec, onChange);
      this.controls.set(spec.name, control);
      this.element.append(control.element);
    }
    this.element.append(this.generalError);
    parent.append(this.element);
  }

  isUnfolded() {
    return "unfolded" in this.element.dataset;
  }

  /** Show all controls, or only the main ones. */
  unfold(all) {
    this.element.toggleAttribute("data-unfolded", all);
    this.unfoldButton.setAttribute("aria-expanded", String(all));
    this.unfoldButton.textContent = all ? "Fewer controls" : "More controls";
    if (all) this.element.dispatchEvent(new CustomEvent("softstep:unfold", { bubbles: true }));
  }

  setValues(values) {
    for (const [name, value] of Object.entries(values)) this.controls.get(name)?.setValue(value);
  }

  setOptions(name, options) {
    this.controls.get(name)?.setOptions(options);
  }

  setRange(name, ends) {
    this.controls.get(name)?.setRange(ends);
  }

  setHidden(name, hidden) {
    const control = this.controls.get(name);
    if (control) control.element.hidden = hidden;
  }

  /** Show an error beside the parameter's control or, without one, below all controls; earlier errors disappear. */
  showError(parameter, reason) {
    this.clearErrors();
    const control = this.controls.get(parameter);
    if (control) {
      control.showError(reason);
      if (!control.element.classList.contains("main")) this.unfold(true);
    } else this.generalError.textContent = parameter ? `${parameter}: ${reason}` : reason;
  }

  clearErrors() {
    this.generalError.textContent = "";
    for (const control of this.controls.values()) control.showError("");
  }
}

/** The Python lines that reproduce the numbers on the screen, to copy or save. */
export class PythonBox {
  constructor(parent) {
    this.code = el("code");
    this.status = el("span", { class: "status", role: "status" });
    const save = () => saveFile("softstep_state.py", this.code.textContent + "\n", "text/x-python");
    this.element = el("details", {}, el("summary", {}, "These numbers in Python"),
      el("div", { class: "tools" },
        el("button", { type: "button", onclick: () => this.copy() }, "Copy as Python"),
        el("button", { type: "button", onclick: save }, "Save"),
        this.status),
      el("pre", { tabindex: 0, role: "region", "aria-label": "Python lines" }, this.code));
    parent.append(this.element);
  }

  show(text) {
    if (this.code.textContent !== text) this.code.textContent = text;
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.code.textContent);
      this.status.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(this.code);
      this.status.textContent = "Selected: press Ctrl+C to copy.";
    }
    setTimeout(() => { this.status.textContent = ""; }, 2500);
  }
}
