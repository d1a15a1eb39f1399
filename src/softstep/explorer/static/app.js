// The page: its rooms and the navigation between them, the theme, and the state in the address.

import { isStatic } from "./api.js";
import { debounce } from "./dom.js";
import { Projector } from "./projector.js";
import { RoomView, drawNavigation, markNavigation, parseAddress } from "./room_view.js";
import * as oneNetwork from "./rooms/one_network.js";
import * as twoNetworks from "./rooms/two_networks.js";
import * as stability from "./rooms/stability.js";
import * as noise from "./rooms/noise.js";
import * as atlas from "./rooms/atlas.js";

const root = document.documentElement;
const main = document.getElementById("room");
const navigation = document.getElementById("rooms");
const rooms = [oneNetwork, twoNetworks, stability, noise, atlas];
const serverRooms = isStatic ? [] : ["./rooms/live.js", "./rooms/reports.js"];
const projectorButton = document.getElementById("projector");
let current = null, projector = null;

// ---- theme ----

const systemDark = matchMedia("(prefers-color-scheme: dark)");
const announceTheme = () => document.dispatchEvent(new CustomEvent("softstep:theme"));

function storedTheme() {
  try { return localStorage.getItem("softstep-theme"); } catch { return null; }
}

function storeTheme(theme) {
  try { localStorage.setItem("softstep-theme", theme); } catch { /* a page opened as a file may not store anything */ }
}

function startTheme() {
  const theme = storedTheme();
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches;
    root.dataset.theme = dark ? "light" : "dark";
    storeTheme(root.dataset.theme);
    announceTheme();
  });
  systemDark.addEventListener("change", announceTheme);
}

// ---- state in the address, for example #/two-networks?alpha=0.1&c=0.9 ----

function readAddress() {
  const { id: path, state } = parseAddress(location.hash);
  return { room: rooms.find(({ id }) => id === path), path, state };
}

let knownAddress = location.hash; // as last read or written here

const writeAddress = debounce((id, state) => {
  if (location.hash !== knownAddress) return; // the visitor is on the way to another address: do not take it away
  const query = new URLSearchParams(state).toString();
  history.replaceState(null, "", `#/${id}${query ? `?${query}` : ""}`);
  knownAddress = location.hash;
}, 120);

/** Show the room of the address, or update it if it is shown already. An address that is no news leaves the room alone: its state may be newer. */
function enterRoom() {
  if (current && location.hash === knownAddress) return;
  writeAddress.cancel();
  knownAddress = location.hash;
  const { room = rooms[0], state } = readAddress();
  if (current?.room === room) {
    current.update(state);
    projector.update();
    return;
  }
  const previous = current;
  projector?.close();
  previous?.close();
  document.title = `${room.title} · softstep explorer`;
  markNavigation(navigation, room);
  current = new RoomView(main, room, state, (changed) => {
    writeAddress(room.id, changed);
    queueMicrotask(() => projector.update()); // the room may have hidden a figure
  });
  projector = new Projector(current, projectorButton);
  if (previous) { main.focus({ preventScroll: true }); scrollTo(0, 0); }
}

async function start() {
  if (isStatic && parent !== window) document.documentElement.dataset.framed = ""; // a page around it has its own head and theme
  startTheme();
  projectorButton.addEventListener("click", () => projector.enter());
  drawNavigation(navigation, rooms);
  const { room, path } = readAddress();
  if (room || !path || isStatic) enterRoom(); // otherwise the address may name one of the server's rooms: load them first
  const loaded = await Promise.all(serverRooms.map((module) => import(module).catch(() => null)));
  rooms.push(...loaded.filter(Boolean));
  drawNavigation(navigation, rooms);
  if (current) markNavigation(navigation, current.room);
  addEventListener("hashchange", enterRoom);
  enterRoom(); // the address may have changed meanwhile
}

start();
