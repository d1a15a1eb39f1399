// Room 6: reports of finished comparisons and studies, each in a sandboxed frame.

import { el } from "../dom.js";

export const id = "reports";
export const title = "Reports";
export const lead = "The results of softstep compare and softstep study in your runs folder.";

export function mount(container, context) {
  return new Reports(container, context);
}

class Reports {
  constructor(container, context) {
    this.context = context;
    this.list = el("ul", { class: "reports", id: "reports-list" });
    this.frame = el("div", { class: "report-frame", id: "reports-frame" });
    container.append(el("nav", { class: "controls", "aria-label": "Reports" }, this.list), el("div", { class: "content" }, this.frame));
    this.load();
  }

  async load() {
    const answer = await fetch("reports").then((response) => response.json()).catch(() => ({ reports: [] }));
    this.reports = answer.reports.sort((a, b) => b.modified - a.modified);
    this.update();
  }

  update() {
    if (!this.reports) return;
    if (!this.reports.length) {
      this.frame.replaceChildren(el("p", {}, "There are no reports yet. Make one with ", el("code", {}, "softstep compare CartPole-v1 --preset demo"),
        ", then open this room again."));
      return;
    }
    const shown = this.reports.find(({ name }) => name === this.context.text("name", "")) ?? this.reports[0];
    this.list.replaceChildren(...this.reports.map((report) => el("li", {},
      el("button", { type: "button", "aria-pressed": String(report === shown), onclick: () => this.open(report.name) },
        el("strong", {}, report.name), el("br"), el("span", { class: "quiet" }, new Date(1000 * report.modified).toLocaleString("en"))))));
    this.show(shown.name);
  }

  open(name) {
    this.context.set({ name });
    this.update();
  }

  show(name) {
    if (this.shown === name) return;
    this.shown = name;
    const path = name.split("/").map(encodeURIComponent).join("/");
    this.frame.replaceChildren(el("iframe", { src: `reports/${path}`, title: `Report of ${name}`, sandbox: "allow-scripts allow-downloads" }));
  }

  unmount() {}
}
