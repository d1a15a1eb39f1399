// Shows a page in a notebook's cell, in a sandboxed frame, and hands messages on between the page and the kernel.

const SANDBOX = "allow-scripts allow-downloads";
const HEARTBEAT = 10000; // milliseconds between two signs of life of a page that watches a live agent
const BASE = '<base href="about:srcdoc">'; // otherwise a link such as #curves would open the notebook's own address
const WAITING = "Waiting for the kernel. If it was restarted, run this cell again.";

function render({ model, el }) {
  const view = Math.random().toString(36).slice(2);
  const frame = document.createElement("iframe");
  const notice = document.createElement("p");
  const watches = new Set();
  let shared = "", starts = false;

  const toKernel = (message, callbacks) => model.send({ ...message, view }, callbacks);
  const toPage = (message) => frame.contentWindow?.postMessage(message, "*"); // an opaque origin cannot be named
  const theme = () => (isDark(el) ? "dark" : "light");
  const sendTheme = () => toPage({ kind: "theme", theme: theme() });

  /** Show the room and the state that the notebook holds, unless they came from the page itself. */
  function showState() {
    const [room, state] = [model.get("room"), model.get("state")];
    const text = JSON.stringify([room, state]);
    if (text === shared) return;
    shared = text;
    toPage({ kind: "show", room, state, start: starts });
    starts = false;
  }

  /** The page is new, or the browser has loaded it again: nothing is shown yet, and nobody watches. */
  function onReady() {
    if (watches.size) toKernel({ kind: "left" });
    watches.clear();
    shared = "";
    sendTheme();
    showState();
  }

  function onState({ room, state }) {
    shared = JSON.stringify([room, state]);
    model.set("room", room);
    model.set("state", state);
    model.save_changes();
  }

  function fromPage({ source, data }) {
    if (source !== frame.contentWindow) return;
    if (data.kind === "ready") onReady();
    else if (data.kind === "state") onState(data);
    else {
      if (data.kind === "watch") watches.add(data.number);
      if (data.kind === "unwatch") watches.delete(data.number);
      toKernel(data, data.kind === "post" ? { iopub: { status: acknowledge } } : undefined);
    }
  }

  /**
   * Send a sign of life as soon as the kernel says that it is busy with a question. Jupyter's server holds a small
   * packet back until the browser has acknowledged the one before (Nagle's algorithm). A browser does that 40 ms
   * later, or at once together with a message of its own.
   */
  function acknowledge({ content }) {
    if (content.execution_state === "busy") toKernel({ kind: "here" });
  }

  async function fromKernel(message, buffers) {
    if (message.view !== view) return;
    if (message.kind !== "page") return toPage(message);
    starts = message.start;
    const page = await unzipped(buffers[0]);
    frame.srcdoc = page.replace("<html ", `<html data-theme="${theme()}" `).replace("<head>", `<head>${BASE}`);
    return notice.remove();
  }

  frame.title = model.get("title");
  frame.setAttribute("sandbox", SANDBOX);
  Object.assign(frame.style, { display: "block", width: "100%", height: `${model.get("height")}px`, border: "0" });
  notice.textContent = WAITING;
  el.append(notice, frame);
  addEventListener("message", fromPage);
  model.on("msg:custom", fromKernel);
  model.on("change:room", showState);
  model.on("change:state", showState);
  const heartbeat = setInterval(() => { if (watches.size) toKernel({ kind: "here" }); }, HEARTBEAT);
  const observer = new MutationObserver(sendTheme);
  for (const node of [document.documentElement, document.body]) observer.observe(node, { attributes: true });
  toKernel({ kind: "open" });
  return () => {
    clearInterval(heartbeat);
    observer.disconnect();
    removeEventListener("message", fromPage);
    model.off("msg:custom", fromKernel);
    model.off("change:room", showState);
    model.off("change:state", showState);
    toKernel({ kind: "left" });
  };
}

/** Whether the notebook is dark: whether the nearest ground behind the cell is. */
function isDark(element) {
  for (let node = element; node; node = node.parentElement) {
    const [red, green, blue, opacity = 1] = (getComputedStyle(node).backgroundColor.match(/[\d.]+/g) ?? []).map(Number);
    if (blue !== undefined && opacity > 0.5) return 0.3 * red + 0.6 * green + 0.1 * blue < 128;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** The text of gzipped bytes. */
function unzipped(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

export default { render };
