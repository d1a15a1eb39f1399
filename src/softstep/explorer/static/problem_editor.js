// A small grid in which Φ, P and d of a problem are edited.

import { el, math } from "./dom.js";

const MOST_STATES = 8, MOST_FEATURES = 7;

/** Numbers as text that a person can read and type. */
const written = (value) => String(Number(value.toPrecision(6)));

export class ProblemEditor {
  /** changed({ phi, P, d }): told of every edit that reads as numbers. */
  constructor(parent, changed) {
    this.changed = changed;
    this.table = el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "The problem's numbers" });
    this.error = el("p", { class: "error", role: "alert" });
    const button = (text, action) => el("button", { type: "button", class: "small", onclick: action }, text);
    this.element = el("div", { class: "editor" }, this.table, el("div", { class: "tools" },
      button("Add a state", () => this.resize(1, 0)), button("Remove the last state", () => this.resize(-1, 0)),
      button("Add a feature", () => this.resize(0, 1)), button("Remove the last feature", () => this.resize(0, -1))),
    this.error);
    parent.append(this.element);
  }

  /** Show a problem. */
  show({ phi, P, d }) {
    const same = JSON.stringify({ phi, P, d });
    if (same === this.shown || this.table.contains(document.activeElement)) return;
    this.shown = same;
    this.values = { phi: phi.map((row) => [...row]), P: P.map((row) => [...row]), d: [...d] };
    this.build();
  }

  build() {
    const { phi, P, d } = this.values;
    const head = (what, count) => el("th", { scope: "colgroup", colspan: count }, what);
    const cell = (label, list, index) => el("td", {}, el("input", {
      type: "text", inputmode: "decimal", "aria-label": label, value: written(list[index]),
      oninput: (event) => this.typed(event.target, list, index),
    }));
    this.table.replaceChildren(el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "state"), head("features Φ", phi[0].length),
        head("goes to state, with probability P", P.length), head("updated d", 1))),
      el("tbody", {}, phi.map((row, s) => el("tr", {}, el("th", { scope: "row" }, String(s + 1)),
        row.map((_, i) => cell(`feature ${i + 1} of state ${s + 1}`, row, i)),
        P[s].map((_, i) => cell(`probability of going from state ${s + 1} to ${i + 1}`, P[s], i)),
        cell(`how often state ${s + 1} is updated`, d, s))))));
  }

  typed(input, list, index) {
    const value = Number(input.value.trim().replace("−", "-").replace(",", "."));
    const bad = input.value.trim() === "" || Number.isNaN(value);
    input.toggleAttribute("aria-invalid", bad);
    this.refuse(bad ? `"${input.value}" is no number.` : "");
    if (bad) return;
    list[index] = value;
    this.tell();
  }

  tell() {
    this.shown = JSON.stringify(this.values);
    this.changed(JSON.parse(this.shown));
  }

  resize(states, features) {
    const { phi, P, d } = this.values;
    const S = phi.length + states, n = phi[0].length + features;
    if (S < 1 || n < 1 || S > MOST_STATES || n > MOST_FEATURES)
      return this.refuse(`A problem has 1 to ${MOST_STATES} states and 1 to ${MOST_FEATURES} features.`);
    const fit = (row, length) => Array.from({ length }, (_, i) => row[i] ?? 0);
    const stays = (row, s) => (row.some(Boolean) ? row : row.map((_, i) => Number(i === s)));
    this.values = {
      phi: Array.from({ length: S }, (_, s) => fit(phi[s] ?? [1], n)),
      P: Array.from({ length: S }, (_, s) => stays(fit(P[s] ?? [], S), s)),
      d: fit(d, S),
    };
    this.refuse("");
    this.build();
    return this.tell();
  }

  refuse(reason) {
    this.error.replaceChildren(reason);
  }
}

/** The meaning of the letters, as a sentence. */
export function meaning() {
  return el("p", { class: "note" }, math("A = γ Φ^⊤ D P Φ"), ", ", math("B = Φ^⊤ D Φ"),
    ": each state is a row; its features, where it leads to, and how often it is updated.");
}
