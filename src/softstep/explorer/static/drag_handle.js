// A round handle on a picture: drag it, or move it with the arrow keys.

import { el } from "./dom.js";
import { pixelsOf, placeOf } from "./figures.js";

export class Handle {
  /** moved(x, y): in the axes' units. vertical: whether it moves up and down too. */
  constructor(picture, { label, vertical, moved }) {
    this.picture = picture;
    this.vertical = vertical;
    this.moved = moved;
    this.node = el("button", { type: "button", class: "handle", "aria-label": label, title: label });
    picture.frame.append(this.node);
    this.node.addEventListener("pointerdown", (event) => this.grab(event));
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.resize = new ResizeObserver(() => requestAnimationFrame(() => this.place(this.x, this.y)));
    this.resize.observe(picture.plot);
  }

  grab(event) {
    event.preventDefault();
    this.node.focus({ preventScroll: true });
    this.node.setPointerCapture(event.pointerId);
    const follow = (step) => {
      const place = placeOf(this.picture.plot, step);
      if (place) this.moved(place.x, place.y);
    };
    const release = () => {
      this.node.removeEventListener("pointermove", follow);
      this.node.removeEventListener("pointerup", release);
      this.node.removeEventListener("pointercancel", release);
    };
    this.node.addEventListener("pointermove", follow);
    this.node.addEventListener("pointerup", release);
    this.node.addEventListener("pointercancel", release);
  }

  key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way || (way[1] && !this.vertical)) return;
    event.preventDefault();
    const step = event.shiftKey ? 0.5 : 0.05;
    this.moved(this.x + way[0] * step, this.y + way[1] * step);
  }

  /** Put it at a point of the plot. */
  place(x, y) {
    if (x === undefined) return;
    [this.x, this.y] = [x, y];
    const at = pixelsOf(this.picture.plot, x, y);
    if (!at) return;
    this.node.style.left = `${at.left}px`;
    this.node.style.top = `${Math.min(Math.max(at.top, 0), at.size.t + at.size.h)}px`;
  }

  remove() {
    this.resize.disconnect();
    this.node.remove();
  }
}
