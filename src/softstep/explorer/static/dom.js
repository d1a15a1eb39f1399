// Small helpers for building the page: elements, formulas as MathML, numbers as text, files to save.

/** An element with attributes and children; text becomes text, never markup. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

const MATH = "http://www.w3.org/1998/Math/MathML";

function mathNode(tag, ...children) {
  const node = document.createElementNS(MATH, tag);
  node.append(...children);
  return node;
}

/** One symbol and what hangs on it: T_{t+1}, c^k. `next` is where reading goes on. */
function symbol(text, start) {
  const word = /^(?:[A-Za-z]+′?|[α-ωΑ-Ω∇]′?|[\d.]+)/.exec(text.slice(start));
  const piece = word ? word[0] : text[start];
  const kind = word ? (/^[\d.]/.test(piece) ? "mn" : "mi") : "mo";
  let node = piece.endsWith("′")
    ? mathNode("msup", mathNode("mi", piece.slice(0, -1)), mathNode("mo", "′"))
    : mathNode(kind, piece);
  let next = start + piece.length;
  for (const [mark, tag] of [["_", "msub"], ["^", "msup"]]) {
    if (text[next] !== mark) continue;
    const braced = text[next + 1] === "{";
    const end = braced ? text.indexOf("}", next) : next + 2;
    node = mathNode(tag, node, row(text.slice(next + (braced ? 2 : 1), end)));
    next = end + (braced ? 1 : 0);
  }
  return { node, next };
}

function row(text) {
  const line = mathNode("mrow");
  for (let i = 0; i < text.length; ) {
    if (text[i] === " ") { i += 1; continue; }
    const { node, next } = symbol(text, i);
    line.append(node);
    i = next;
  }
  return line;
}

/** A formula such as "T_{t+1} = c T_t + (1 − c) Q_{t+1}" as MathML. */
export function math(text, display = false) {
  const node = mathNode("math", row(text));
  if (display) node.setAttribute("display", "block");
  return node;
}

/** A paragraph in which $...$ is typeset as a formula. */
export function prose(text, attributes = {}) {
  return el("p", attributes, ...text.split("$").map((part, i) => (i % 2 ? math(part) : part)));
}

/** A number for people: about `digits` significant digits, a true minus sign, no needless zeros. */
export function show(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-4
    ? value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e")
    : String(Number(value.toPrecision(digits)));
  const [mantissa, power] = text.split("e");
  const raised = power ? ` × 10${[...power].map((d) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(d)]).join("")}` : "";
  return (mantissa + raised).replace("-", "−");
}

/** Offer text or a Blob as a file. */
export function save(name, content, type) {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Run `action` once things have been quiet for `wait` milliseconds. */
export function whenQuiet(action, wait) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), wait);
  };
}
