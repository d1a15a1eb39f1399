// One room on the page: its heading, its content, and its state, which is text as in an address.

import { el } from "./dom.js";

/** What of a room is looked at while its controls are moved: its figures, its agents at play, or a report. */
export const SHOWN = ".figure, .arms, .report-frame";

const isPhone = matchMedia("(max-width: 48rem)"); // as in narrow.css

/** Split an address such as #/two-networks?alpha=0.1&c=0.9 into the room's id and its state. */
export function parseAddress(address) {
  const [id, query = ""] = address.replace(/^#\/?/, "").split("?");
  return { id, state: Object.fromEntries(new URLSearchParams(query)) };
}

/** Fill the navigation with links to the rooms. */
export function drawNavigation(navigation, rooms) {
  navigation.replaceChildren(...rooms.map(({ id, title, short }) => el("a", { href: `#/${id}` }, short ?? title)));
}

/** Mark the link to the shown room, and scroll to it. */
export function markNavigation(navigation, room) {
  for (const link of navigation.querySelectorAll("a")) {
    if (link.getAttribute("href") !== `#/${room.id}`) link.removeAttribute("aria-current");
    else {
      link.setAttribute("aria-current", "page");
      navigation.scrollLeft = link.offsetLeft - navigation.offsetLeft - 40;
    }
  }
}

/** A shown room; `onChange(state)` is called whenever the user changes the room's state. */
export class RoomView {
  constructor(main, room, state, onChange) {
    this.room = room;
    this.context = contextOf(state, () => { if (!this.closed) onChange(this.context.state); });
    const heading = el("header", { class: "opening" }, el("h1", {}, room.title), el("p", { class: "lead" }, room.lead));
    this.container = el("div", { class: "room", id: `room-${room.id}` }, heading);
    main.replaceChildren(this.container);
    this.mounted = room.mount(this.container, this.context);
    this.container.querySelector(SHOWN)?.classList.add("first");
    this.container.addEventListener("softstep:unfold", ({ target }) => { if (target.parentElement === this.container) this.showFigure(); });
  }

  /** On a phone, scroll the plot that is in view to the top, so that it stands above the unfolded controls. */
  showFigure() {
    if (!isPhone.matches) return;
    const plots = [...this.container.querySelectorAll(".frame, .arms")];
    const isInView = (plot) => plot.clientHeight > 0 && plot.getBoundingClientRect().bottom > 0;
    requestAnimationFrame(() => plots.find(isInView)?.scrollIntoView({ block: "start" }));
  }

  /** Show the room in another state. */
  update(state) {
    this.context.state = { ...state };
    this.mounted.update(state);
  }

  close() {
    this.closed = true;
    this.mounted.unmount();
  }
}

/** What a room is given: its state, with methods to read and change it. */
function contextOf(state, onChange) {
  const context = {
    state: { ...state },
    reducedMotion: matchMedia("(prefers-reduced-motion: reduce)").matches,
    number(name, fallback) {
      const value = Number(context.state[name]);
      return context.state[name] === undefined || Number.isNaN(value) ? fallback : value;
    },
    text(name, fallback) {
      return context.state[name] ?? fallback;
    },
    set(patch) {
      for (const [name, value] of Object.entries(patch))
        if (value === undefined || value === null) delete context.state[name];
        else context.state[name] = String(value);
      onChange();
    },
  };
  return context;
}
