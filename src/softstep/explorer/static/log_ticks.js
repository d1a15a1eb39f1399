// Ticks of a logarithmic axis: complete numbers that do not overlap. The reports' `log_ticks` follows the same rule.

import { formatNumber } from "./dom.js";

/** At most about `most` round ticks between two positive ends, as { tickvals, ticktext } of a plotly axis. */
export function logTicks(low, high, most) {
  const tickvals = ticksBetween(low, high, most);
  return { tickvals, ticktext: tickvals.map((value) => formatNumber(value, 3).replace(/^1 × /, "")) };
}

function ticksBetween(low, high, most) {
  const decades = Math.log10(high / low);
  if (decades < 1) return linearTicks(low, high, Math.min(5, most - 1));
  for (const digits of [[1, 2, 5], [1, 3], [1]]) {
    const ticks = powerTicks(low, high, digits, 1);
    if (ticks.length <= most) return ticks;
  }
  return powerTicks(low, high, [1], Math.ceil((decades + 1) / most));
}

/** `digits` times every `stride`-th power of ten. */
function powerTicks(low, high, digits, stride) {
  const first = Math.floor(Math.log10(low) / stride) * stride;
  const ticks = [];
  for (let power = first; 10 ** power <= high; power += stride)
    ticks.push(...digits.map((digit) => Number(`${digit}e${power}`)));
  return ticks.filter((tick) => tick >= low && tick <= high);
}

/** Multiples of 1, 2 or 5 times a power of ten: within a decade they are far enough apart. */
function linearTicks(low, high, steps) {
  const rough = (high - low) / steps;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((size) => size >= rough * (1 - 1e-9));
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, k) => Number(((first + k) * step).toPrecision(12)));
}
