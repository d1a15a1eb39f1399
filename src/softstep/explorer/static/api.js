// Where numbers come from: the server, or grids that were computed when the page was exported.

export const isStatic = document.documentElement.dataset.source === "static";

/** A value the API would not take, with its one-line reason. */
export class Refusal extends Error {
  constructor(parameter, reason) {
    super(reason);
    this.parameter = parameter;
  }
}

async function askServer(endpoint, values) {
  const body = JSON.stringify(values);
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(`api/${endpoint}`, { method: "POST", headers, body }).catch(() => {
    throw new Refusal("", "The server does not answer. Is softstep explore still running?");
  });
  if (response.ok) return response.json();
  const { error } = await response.json().catch(() => ({}));
  throw new Refusal(error?.parameter ?? "", error?.reason ?? `The server answered ${response.status}.`);
}

// ---- exported grids: data/<endpoint>.<indices>.js calls softstepChunk(name, answers) ----

const chunks = new Map();

function loadChunk(name) {
  if (!chunks.has(name)) {
    chunks.set(name, new Promise((resolve, reject) => {
      window.softstepWaiting = { ...window.softstepWaiting, [name]: resolve };
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onerror = () => reject(new Refusal("", `${script.src} is missing: export the page again.`));
      document.head.append(script);
    }));
  }
  return chunks.get(name);
}
window.softstepChunk = (name, answers) => window.softstepWaiting[name](answers);

/** The value on an exported axis that is nearest to `value`. */
export function nearest(axis, value) {
  if (typeof axis[0] !== "number") return Math.max(0, axis.indexOf(value));
  const distance = (i) => Math.abs(axis[i] - Number(value));
  return axis.reduce((best, _, i) => (distance(i) < distance(best) ? i : best), 0);
}

async function askGrids(endpoint, values) {
  const grid = window.softstepGrids[endpoint];
  const indices = grid.axes.map(({ name, values: axis }) => nearest(axis, values[name] ?? grid.defaults[name]));
  const answers = await loadChunk([endpoint, ...indices.slice(0, grid.split)].join("."));
  return answers[indices.join(",")];
}

/** The values an exported page has for a parameter of an endpoint; undefined where it is free, null where it is fixed. */
export function exportedAxis(endpoint, name) {
  if (!isStatic) return undefined;
  return window.softstepGrids[endpoint]?.axes.find((axis) => axis.name === name)?.values ?? null;
}

export const ask = isStatic ? askGrids : askServer;

/**
 * One room's questions: at most one in flight; of the waiting ones to an endpoint the last wins.
 * Answers go to `receive[endpoint](answer, values)`, refusals to `refuse(parameter, reason)`.
 */
export class Questions {
  constructor(receive, refuse) {
    this.receive = receive;
    this.refuse = refuse;
    this.waiting = new Map();
    this.busy = false;
    this.closed = false;
  }

  ask(endpoint, values) {
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
        if (!this.closed) this.receive[endpoint](answer, values);
      } catch (error) {
        if (this.closed) break;
        if (error instanceof Refusal) this.refuse(error.parameter, error.message);
        else { this.busy = false; throw error; }
      }
    }
    this.busy = false;
  }

  close() {
    this.closed = true;
  }
}
