// The source of all numbers: Python's endpoints or, on an exported page, answers computed in advance.

import { RequestError, post, source } from "./transport.js";

export const isStatic = source === "static";

// ---- exported answers: data/<endpoint>.<indices>.js calls softstepChunk(name, answers) ----

const chunks = new Map();

function loadChunk(name) {
  if (!chunks.has(name)) {
    chunks.set(name, new Promise((resolve, reject) => {
      window.softstepWaiting = { ...window.softstepWaiting, [name]: resolve };
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onerror = () => reject(new RequestError("", `${script.src} is missing: export the page again.`));
      document.head.append(script);
    }));
  }
  return chunks.get(name);
}
window.softstepChunk = (name, answers) => window.softstepWaiting[name](answers);

/** Index of the value on an exported axis that is nearest to `value`. */
export function nearest(axis, value) {
  if (typeof axis[0] !== "number") return Math.max(0, axis.indexOf(value));
  const distance = (i) => Math.abs(axis[i] - Number(value));
  return axis.reduce((best, _, i) => (distance(i) < distance(best) ? i : best), 0);
}

/** Ask the server or the kernel. */
function askPython(endpoint, values) {
  return post(`api/${endpoint}`, values);
}

async function askExport(endpoint, values) {
  const grid = window.softstepGrids[endpoint];
  const indices = grid.axes.map(({ name, values: axis }) => nearest(axis, values[name] ?? grid.defaults[name]));
  const answers = await loadChunk([endpoint, ...indices.slice(0, grid.split)].join("."));
  return answers[indices.join(",")];
}

/** The exported values of an endpoint's parameter: null if it has only its default, undefined if the page has a server. */
export function exportedAxis(endpoint, name) {
  if (!isStatic) return undefined;
  return window.softstepGrids[endpoint]?.axes.find((axis) => axis.name === name)?.values ?? null;
}

const ask = isStatic ? askExport : askPython;

/**
 * The requests of one room: one at a time, and of several waiting for the same endpoint only the latest is sent.
 * Answers go to `handlers[endpoint](answer)`, refusals to `onError(parameter, reason)`.
 */
export class RequestQueue {
  constructor(handlers, onError) {
    this.handlers = handlers;
    this.onError = onError;
    this.waiting = new Map();
    this.busy = false;
    this.closed = false;
  }

  send(endpoint, values) {
    this.waiting.set(endpoint, values);
    if (!this.busy) this.run();
  }

  async run() {
    this.busy = true;
    while (this.waiting.size && !this.closed) {
      const [[endpoint, values]] = this.waiting;
      this.waiting.delete(endpoint);
      try {
        const answer = await ask(endpoint, values);
        if (!this.closed) this.handlers[endpoint](answer);
      } catch (error) {
        if (this.closed) break;
        if (error instanceof RequestError) this.onError(error.parameter, error.message);
        else { this.busy = false; throw error; }
      }
    }
    this.busy = false;
  }

  close() {
    this.closed = true;
  }
}
