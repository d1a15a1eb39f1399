// The page: its rooms and the navigation between them, the theme, and the state in the address.

import { isStatic } from "./api.js";
import { debounce, el } from "./dom.js";
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
let current = null;

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
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const room = rooms.find(({ id }) => id === path);
  return { room, path, state: Object.fromEntries(new URLSearchParams(query)) };
}

const writeAddress = debounce((id, state) => {
  const query = new URLSearchParams(state).toString();
  history.replaceState(null, "", `#/${id}${query ? `?${query}` : ""}`);
}, 120);

/** The context of a room: its state, as text, with methods to read and change it. */
function contextFor(room, state) {
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
      if (current?.room === room) writeAddress(room.id, context.state);
    },
  };
  return context;
}

/** Show the room of the address, or update it if it is shown already. */
function enterRoom() {
  const { room = rooms[0], state } = readAddress();
  if (current?.room === room) {
    current.context.state = { ...state };
    current.mounted.update(state);
    return;
  }
  const previous = current;
  previous?.mounted.unmount();
  const container = el("div", { class: "room", id: `room-${room.id}` });
  const heading = el("header", { class: "opening" }, el("h1", {}, room.title), el("p", { class: "lead" }, room.lead));
  main.replaceChildren(heading, container);
  document.title = `${room.title} · softstep explorer`;
  markNavigation(room);
  const context = contextFor(room, state);
  current = { room, context, mounted: null };
  current.mounted = room.mount(container, context);
  if (previous) { main.focus({ preventScroll: true }); scrollTo(0, 0); }
}

function drawNavigation() {
  navigation.replaceChildren(...rooms.map(({ id, title, short }) => el("a", { href: `#/${id}` }, short ?? title)));
}

function markNavigation(room) {
  for (const link of navigation.querySelectorAll("a")) {
    if (link.hash !== `#/${room.id}`) link.removeAttribute("aria-current");
    else {
      link.setAttribute("aria-current", "page");
      navigation.scrollLeft = link.offsetLeft - navigation.offsetLeft - 40;
    }
  }
}

async function start() {
  startTheme();
  drawNavigation();
  const { room, path } = readAddress();
  if (room || !path || isStatic) enterRoom(); // otherwise the address may name one of the server's rooms: load them first
  const loaded = await Promise.all(serverRooms.map((module) => import(module).catch(() => null)));
  rooms.push(...loaded.filter(Boolean));
  drawNavigation();
  if (current) markNavigation(current.room);
  addEventListener("hashchange", enterRoom);
  enterRoom(); // the address may have changed meanwhile
}

start();
