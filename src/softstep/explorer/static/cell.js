// The page in a notebook's cell: one room, whose state it shares with the notebook.

import { debounce, el } from "./dom.js";
import { RoomView, drawNavigation, markNavigation, parseAddress } from "./room_view.js";
import { fromCell, toCell } from "./transport.js";
import * as oneNetwork from "./rooms/one_network.js";
import * as twoNetworks from "./rooms/two_networks.js";
import * as stability from "./rooms/stability.js";
import * as noise from "./rooms/noise.js";
import * as atlas from "./rooms/atlas.js";
import * as live from "./rooms/live.js";

const rooms = [oneNetwork, twoNetworks, stability, noise, atlas, live];
const main = document.getElementById("room");
const navigation = document.getElementById("rooms");
const notice = document.body.appendChild(el("p", { class: "notice", role: "status", hidden: true },
  "The kernel is busy. The room answers as soon as the running cell has ended; if the kernel was restarted, run this cell again."));
let view = null;

/** Show a room, or another state of the room that is shown. */
function enterRoom(id, state) {
  if (view?.room.id === id) return view.update(state);
  view?.close();
  const room = rooms.find((other) => other.id === id);
  markNavigation(navigation, room);
  view = new RoomView(main, room, state, (changed) => share(id, changed));
  return scrollTo(0, 0);
}

const share = debounce((room, state) => toCell({ kind: "state", room, state: valuesOf(state) }), 120);

/** The room's state as values for Python: numbers where the text is one. */
function valuesOf(state) {
  const isNumber = (text) => text.trim() !== "" && Number.isFinite(Number(text));
  return Object.fromEntries(Object.entries(state).map(([name, text]) => [name, isNumber(text) ? Number(text) : text]));
}

/** Values from Python as the room's state. */
function textsOf(values) {
  const text = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, text(value)]));
}

/** Follow a link to another room, which in a frame without an address the browser would not. */
function followLink(event) {
  const link = event.target.closest?.("a[href^='#/']");
  if (!link) return;
  event.preventDefault();
  const { id, state } = parseAddress(link.getAttribute("href"));
  enterRoom(id, state);
  share(id, state);
}

fromCell("show", ({ room, state, start }) => {
  share.cancel(); // what the room had to say before the notebook changed it
  enterRoom(room, textsOf(state));
  if (start) view.mounted.start();
});
fromCell("theme", ({ theme }) => {
  document.documentElement.dataset.theme = theme;
  document.dispatchEvent(new CustomEvent("softstep:theme"));
});
document.addEventListener("click", followLink);
document.addEventListener("softstep:busy", ({ detail }) => { notice.hidden = !detail; });
drawNavigation(navigation, rooms);
toCell({ kind: "ready" });
