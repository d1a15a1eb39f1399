// How the page asks Python: over HTTP or, in a notebook's cell, by messages that the cell hands to the kernel.

/** Who answers: "server", "cell" (the kernel of a notebook) or "static" (nobody; the answers are files). */
export const source = document.documentElement.dataset.source ?? "server";

const PATIENCE = 1500; // milliseconds without an answer after which the kernel counts as busy

/** A request that was refused, or not answered at all, with a one-line reason. */
export class RequestError extends Error {
  constructor(parameter, reason) {
    super(reason);
    this.parameter = parameter;
  }
}

// ---- HTTP ----

async function postToServer(path, values) {
  const headers = { "Content-Type": "application/json" };
  const keepalive = path.startsWith("live"); // "stop" is sent while the page is being left
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(values), keepalive }).catch(() => {
    throw new RequestError("", "The server does not answer. Is softstep explore still running?");
  });
  if (response.ok) return response.json();
  const { error } = await response.json().catch(() => ({}));
  throw new RequestError(error?.parameter ?? "", error?.reason ?? `The server answered with status ${response.status}.`);
}

function watchServer(path, onEvent, onEnd) {
  const stream = new EventSource(path);
  stream.onmessage = ({ data }) => onEvent(JSON.parse(data));
  stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) onEnd(); };
  return () => stream.close();
}

// ---- a notebook's cell: requests and replies carry a number ----

const replies = new Map(); // by number: what to do with a reply
const listeners = new Map(); // by kind: what to do with a message that is no reply
let lastNumber = 0;

/** Send a message to the cell. A sandboxed frame does not know its parent's origin, so it addresses any. */
export function toCell(message) {
  parent.postMessage(message, "*");
}

/** Call `onMessage(message)` for every message of this kind from the cell. */
export function fromCell(kind, onMessage) {
  listeners.set(kind, onMessage);
}

function receive({ source: sender, data }) {
  if (sender !== parent) return;
  if (data.kind === "reply") replies.get(data.number)?.(data);
  else listeners.get(data.kind)?.(data);
}

function postToCell(path, values) {
  return new Promise((resolve, reject) => {
    const number = (lastNumber += 1);
    const timer = setTimeout(() => announceBusy(true), PATIENCE);
    replies.set(number, ({ answer, error }) => {
      replies.delete(number);
      clearTimeout(timer);
      announceBusy(false);
      if (error) reject(new RequestError(error.parameter, error.reason));
      else resolve(answer);
    });
    toCell({ kind: "post", number, path, values });
  });
}

function announceBusy(busy) {
  document.dispatchEvent(new CustomEvent("softstep:busy", { detail: busy }));
}

function watchCell(path, onEvent, onEnd) {
  const number = (lastNumber += 1);
  const forget = () => replies.delete(number);
  replies.set(number, ({ event }) => {
    if (event) onEvent(event);
    else if (forget()) onEnd();
  });
  toCell({ kind: "watch", number, path });
  return () => { if (forget()) toCell({ kind: "unwatch", number }); };
}

if (source === "cell") addEventListener("message", receive);

/** Send values to a path and return the answer; a RequestError if they are refused. */
export const post = source === "cell" ? postToCell : postToServer;

/** Call `onEvent` for every event of a path, and `onEnd` if there will be no more; returns a function that ends it. */
export const watch = source === "cell" ? watchCell : watchServer;
