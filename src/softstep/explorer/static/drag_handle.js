// A round handle on a figure: drag it, or move it with the arrow keys.

import { el } from "./dom.js";
import { dataPoint, pixelPosition } from "./figures.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Move a coordinate by one arrow key, or by ten with Shift. */
const linearStep = (value, direction, large) => value + direction * (large ? 0.5 : 0.05);

export class DragHandle {
  /**
   * `onMove(x, y)` gets the new position in the axes' units. `vertical` says whether the handle also moves up and down.
   * `step(value, direction, large)` moves one coordinate by an arrow key; `large` is true with Shift.
   */
  constructor(figure, { label, vertical, onMove, step = linearStep }) {
    this.figure = figure;
    this.vertical = vertical;
    this.onMove = onMove;
    this.step = step;
    this.node = el("button", { type: "button", class: "handle", "aria-label": label, title: label });
    figure.frame.append(this.node);
    this.node.addEventListener("pointerdown", (event) => this.onPointerDown(event));
    this.node.addEventListener("keydown", (event) => this.onKey(event));
    this.resizeObserver = new ResizeObserver(() => requestAnimationFrame(() => this.moveTo(this.x, this.y)));
    this.resizeObserver.observe(figure.plot);
  }

  onPointerDown(event) {
    event.preventDefault();
    this.node.focus({ preventScroll: true });
    this.node.setPointerCapture(event.pointerId);
    const follow = (moveEvent) => {
      const point = dataPoint(this.figure.plot, moveEvent);
      if (point) this.onMove(point.x, point.y);
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

  onKey(event) {
    const [dx, dy] = ARROWS[event.key] ?? [0, 0];
    if ((!dx && !dy) || (dy && !this.vertical)) return;
    event.preventDefault();
    this.onMove(this.step(this.x, dx, event.shiftKey), this.step(this.y, dy, event.shiftKey));
  }

  /** Place the handle at a point of the plot. */
  moveTo(x, y) {
    if (x === undefined) return;
    [this.x, this.y] = [x, y];
    const pixels = pixelPosition(this.figure.plot, x, y);
    if (!pixels) return;
    this.node.style.left = `${pixels.left}px`;
    this.node.style.top = `${Math.min(Math.max(pixels.top, 0), pixels.size.t + pixels.size.h)}px`;
  }

  remove() {
    this.resizeObserver.disconnect();
    this.node.remove();
  }
}
