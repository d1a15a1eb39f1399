// What an arm is about to do: the Q-values of its actions, or a continuous action and its value.

import { el, formatNumber } from "../dom.js";

/** A table for an environment of `ENVIRONMENTS`. */
export function choiceTable({ actions, components }) {
  return actions ? new ActionValues(actions) : new ContinuousAction(components);
}

/** A row with a name, a number and a bar. */
function tableRow(name) {
  const bar = el("span", { class: "q-bar" });
  const value = el("td", { class: "tabular" }, "–");
  const row = el("tr", {}, el("th", { scope: "row" }, name), value, el("td", { "aria-hidden": "true" }, bar));
  return { bar, value, row };
}

function table(caption, rows) {
  return el("table", { class: "q-values" }, el("caption", { class: "quiet" }, caption), el("tbody", {}, rows.map(({ row }) => row)));
}

/** The Q-value of each action; the best one is marked. */
class ActionValues {
  constructor(actions) {
    this.rows = actions.map(tableRow);
    this.element = table("Q-value of each action", this.rows);
  }

  show({ q_values: qValues }) {
    const finite = qValues.map((value) => value ?? 0);
    const low = Math.min(...finite), high = Math.max(...finite);
    const range = Math.max(1e-9, high - low);
    const best = finite.indexOf(high);
    this.rows.forEach(({ bar, value, row }, i) => {
      value.textContent = formatNumber(qValues[i], 3);
      bar.style.width = `${6 + (94 * (finite[i] - low)) / range}%`;
      row.classList.toggle("chosen", i === best);
    });
  }
}

/** The components of the action, with bars from the middle, and the smaller of the critics' values of it. */
class ContinuousAction {
  constructor(components) {
    this.components = components;
    this.rows = components.map(({ name }) => tableRow(name));
    this.minimum = tableRow("min Q");
    this.minimum.row.classList.add("chosen");
    this.element = table("Action, and the smaller of the critics' values of it", [...this.rows, this.minimum]);
    for (const { bar } of this.rows) bar.parentElement.classList.add("centred");
  }

  show({ q_values: [value], action }) {
    this.rows.forEach((row, i) => {
      const share = action[i] / this.components[i].limit;
      row.value.textContent = action[i].toFixed(2).replace("-", "−");
      row.bar.style.marginLeft = `${50 + 50 * Math.min(0, share)}%`;
      row.bar.style.width = `${50 * Math.abs(share)}%`;
    });
    this.minimum.value.textContent = formatNumber(value, 3);
  }
}
