// Helpers for building the page: elements, formulas as MathML, numbers as text, files to save.

/** Create an element with attributes and children; strings become text, never markup. */
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

/** Parse one symbol with its sub- and superscripts, for example T_{t+1} or c^k; `next` is the index after it. */
function symbol(text, start) {
  const word = /^(?:[A-Za-z]+′?|[α-ωΑ-Ω∇]′?|[\d.]+)/.exec(text.slice(start));
  const token = word ? word[0] : text[start];
  const tag = word ? (/^[\d.]/.test(token) ? "mn" : "mi") : "mo";
  let node = mathNode(tag, token);
  if (token === "(" || token === ")") node.setAttribute("stretchy", "false");
  let next = start + token.length;
  for (const [mark, scriptTag] of [["_", "msub"], ["^", "msup"]]) {
    if (text[next] !== mark) continue;
    const braced = text[next + 1] === "{";
    const end = braced ? text.indexOf("}", next) : next + 2;
    node = mathNode(scriptTag, node, row(text.slice(next + (braced ? 2 : 1), end)));
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

/** Typeset a formula, for example "T_{t+1} = c T_t + (1 − c) Q_{t+1}", as MathML. */
export function math(text, display = false) {
  const node = mathNode("math", row(text));
  if (display) node.setAttribute("display", "block");
  return node;
}

/** Split text into strings and formulas; what stands between dollar signs is typeset as a formula. */
export function withMath(text) {
  return text.split("$").map((part, i) => (i % 2 ? math(part) : part));
}

/** Format a number for reading: `digits` significant digits, a true minus sign, no trailing zeros. */
export function formatNumber(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-4
    ? value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e")
    : String(Number(value.toPrecision(digits)));
  const [mantissa, exponent] = text.split("e");
  const power = exponent ? ` × 10${[...exponent].map((d) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(d)]).join("")}` : "";
  return (mantissa + power).replace("-", "−");
}

/** Parse a number that the user typed, with a decimal comma or a true minus sign if they like; NaN if it is not one. */
export function parseNumber(text) {
  const trimmed = text.trim();
  return trimmed === "" ? NaN : Number(trimmed.replace(",", ".").replace("−", "-"));
}

/** The error for text that `parseNumber` cannot read. */
export function numberError(text) {
  return text.trim() ? `"${text}" is not a number.` : "Type a number.";
}

/** Offer text or a Blob as a download. */
export function saveFile(name, content, type) {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Delay `action` until `wait` milliseconds have passed since the last call; its `cancel` drops a call that waits. */
export function debounce(action, wait) {
  let timer = 0;
  const cancel = () => clearTimeout(timer);
  const delayed = (...values) => {
    cancel();
    timer = setTimeout(() => action(...values), wait);
  };
  return Object.assign(delayed, { cancel });
}
