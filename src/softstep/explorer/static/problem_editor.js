// A table in which Φ, P and d of a problem can be edited.

import { el, numberError, parseNumber, withMath } from "./dom.js";

const MAX_STATES = 8, MAX_FEATURES = 7;

/** A matrix entry as text that is easy to read and type. */
const entryText = (value) => String(Number(value.toPrecision(6)));

export class ProblemEditor {
  /** `onChange({ phi, P, d })` is called after every edit that leaves only numbers in the table. */
  constructor(parent, onChange) {
    this.onChange = onChange;
    this.table = el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Numbers of the problem" });
    this.error = el("p", { class: "error", role: "alert" });
    const button = (text, action) => el("button", { type: "button", class: "small", onclick: action }, text);
    this.element = el("div", { class: "editor" }, this.table, el("div", { class: "tools" },
      button("Add a state", () => this.resize(1, 0)), button("Remove the last state", () => this.resize(-1, 0)),
      button("Add a feature", () => this.resize(0, 1)), button("Remove the last feature", () => this.resize(0, -1))),
    this.error);
    parent.append(this.element);
  }

  /** Show a problem, unless it is shown already or the user is typing in the table. */
  show({ phi, P, d }) {
    const text = JSON.stringify({ phi, P, d });
    if (text === this.shown || this.table.contains(document.activeElement)) return;
    this.shown = text;
    this.values = { phi: phi.map((row) => [...row]), P: P.map((row) => [...row]), d: [...d] };
    this.build();
  }

  build() {
    const { phi, P, d } = this.values;
    const heading = (text, columns) => el("th", { scope: "colgroup", colspan: columns }, text);
    const cell = (label, list, index) => el("td", {}, el("input", {
      type: "text", inputmode: "decimal", "aria-label": label, value: entryText(list[index]),
      oninput: (event) => this.onType(event.target, list, index),
    }));
    this.table.replaceChildren(el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "state"), heading("features Φ", phi[0].length),
        heading("probability P of the next state", P.length), heading("weight d", 1))),
      el("tbody", {}, phi.map((row, s) => el("tr", {}, el("th", { scope: "row" }, String(s + 1)),
        row.map((_, i) => cell(`feature ${i + 1} of state ${s + 1}`, row, i)),
        P[s].map((_, i) => cell(`probability of going from state ${s + 1} to state ${i + 1}`, P[s], i)),
        cell(`how often state ${s + 1} is updated`, d, s))))));
  }

  onType(input, list, index) {
    const value = parseNumber(input.value);
    const invalid = Number.isNaN(value);
    input.setAttribute("aria-invalid", String(invalid));
    this.showError(invalid ? numberError(input.value) : "");
    if (invalid) return;
    list[index] = value;
    this.notify();
  }

  notify() {
    this.shown = JSON.stringify(this.values);
    this.onChange(JSON.parse(this.shown));
  }

  /** Add or remove states and features at the end. */
  resize(addedStates, addedFeatures) {
    const { phi, P, d } = this.values;
    const states = phi.length + addedStates, features = phi[0].length + addedFeatures;
    if (states < 1 || features < 1 || states > MAX_STATES || features > MAX_FEATURES)
      return this.showError(`A problem has 1 to ${MAX_STATES} states and 1 to ${MAX_FEATURES} features.`);
    const fit = (row, length) => Array.from({ length }, (_, i) => row[i] ?? 0);
    const orStay = (row, s) => (row.some(Boolean) ? row : row.map((_, i) => Number(i === s))); // an empty row of P: stay
    this.values = {
      phi: Array.from({ length: states }, (_, s) => fit(phi[s] ?? [1], features)),
      P: Array.from({ length: states }, (_, s) => orStay(fit(P[s] ?? [], states), s)),
      d: fit(d, states),
    };
    this.showError("");
    this.build();
    return this.notify();
  }

  showError(reason) {
    this.error.replaceChildren(reason);
  }
}

/** A paragraph that explains the table's symbols. */
export function problemNote() {
  return el("p", { class: "note" }, ...withMath("Each row is a state: its features Φ, the probabilities P of the next state, " +
    "and the weight d with which the state is updated. They give $A = γ Φ^⊤ D P Φ$ and $B = Φ^⊤ D Φ$, where D has d on its diagonal."));
}
