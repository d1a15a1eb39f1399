// The atlas room's map and its table, built from the endpoint's answer.

import { el, formatNumber } from "../dom.js";

const SCALE = "Cividis"; // looks the same with any kind of colour vision; the reports' maps have it too
const LABEL_TYPE = 0.85; // type of the cells' numbers, as a share of the plot's
const LABEL_WIDTH = 3.5; // width of a column, in sizes of the plot's type, from which its cells show their numbers
const LABEL_HEIGHT = 2; // height of a row from which they do
const ROOMY_HEIGHT = 4; // height of a row from which a number and a diamond fit below each other

const PAIR_TICKS = [0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003]; // 1 − c on the axis of randomly drawn pairs

/** Mean returns over (α, c): a map whose row without a target network lies apart, or randomly drawn pairs. The plot has `width`,
 * `height` and `type` in pixels. */
export function map(answer, { width, height, type }, colours) {
  const { edges, window: advised } = answer;
  const rows = answer.c.map((c, j) => ({ c, z: answer.mean[j], label: answer.label[j], text: answer.text[j], y: answer.position[j] }));
  const targets = rows.filter(({ c }) => c > 0), none = rows.filter(({ c }) => c === 0);
  const cell = { width: width / answer.alpha.length / type, height: height / (answer.tau.length + 1) / type };
  const isRoomy = cell.height >= ROOMY_HEIGHT;
  const labels = (lines) => (cell.width >= LABEL_WIDTH && cell.height >= LABEL_HEIGHT // empty lines below leave room for a diamond in the middle
    ? { texttemplate: `%{text}${"<br>\u00a0".repeat(lines)}`, textfont: { size: LABEL_TYPE * type } } : {});
  const colourBar = { title: { text: "return", side: "top" }, thickness: 12, outlinewidth: 0, len: 0.95, tickfont: { color: colours.quiet } };
  const heat = (part, name, y, lines) => ({ type: "heatmap", name, showlegend: false, x: answer.alpha, y, z: part.map(({ z }) => z),
    text: part.map(({ label }) => label), hovertext: part.map(({ text }) => text), hovertemplate: "%{hovertext}<extra></extra>",
    hoverongaps: false, xgap: 1, ygap: 1, colorscale: SCALE, zmin: answer.scale.low, zmax: answer.scale.high,
    colorbar: colourBar, ...labels(lines) });
  const end = (name, showlegend, line) => ({ name: "the window of softstep advise", showlegend, x: advised.alpha, y: advised[name], mode: "lines",
    line, hoverinfo: "skip" });
  const halo = { color: colours.ground, width: 4 }, dashes = { color: colours.ink, width: 2, dash: "dash" }; // visible on every cell
  const arms = { name: "arms of softstep compare: other settings", x: answer.arms.map(({ learning_rate: alpha }) => alpha),
    y: answer.arms.map(({ position }) => position), mode: "markers", meta: "dots", line: { color: colours.ink },
    hovertext: answer.arms.map(({ text }) => text), hovertemplate: "%{hovertext}<extra></extra>", marker: { symbol: "diamond", size: 11,
      color: answer.arms.map(({ mean }) => mean), colorscale: SCALE, cmin: answer.scale.low, cmax: answer.scale.high, line: { color: colours.ground, width: 2 } } };
  const { pairs } = answer;
  const circles = { name: "pairs drawn at random", x: pairs.learning_rate, y: pairs.tau, mode: "markers", meta: "dots", line: { color: colours.ink },
    hovertext: pairs.text, hovertemplate: "%{hovertext}<extra></extra>", marker: { size: 20, color: pairs.mean, colorscale: SCALE,
      cmin: answer.scale.low, cmax: answer.scale.high, line: { color: colours.ink, width: 1 }, showscale: true, colorbar: colourBar } };
  const ticks = rows.length ? rows : PAIR_TICKS.map((y) => ({ y, c: 1 - y }));
  const log = (value) => Math.log10(value);
  return {
    traces: [...(targets.length ? [heat(targets, "with a target network", targets.map(({ y }) => y), isRoomy ? 2 : 1)] : []),
      ...(none.length ? [heat(none, "no target network", edges.no_target, 1)] : []),
      end("low", false, halo), end("high", false, halo), end("low", true, dashes), end("high", false, dashes), ...(answer.arms.length ? [arms] : []), ...(pairs.tau.length ? [circles] : [])],
    layout: {
      margin: { l: 62, r: 8, t: 10, b: 44 },
      xaxis: { type: "log", title: { text: "α, learning rate" }, range: [edges.alpha[0], edges.alpha.at(-1)].map(log), showgrid: false },
      yaxis: { type: "log", title: { text: "c   (slower target ↓)" }, range: [edges.tau[0], edges.no_target[1]].map(log), showgrid: false,
        tickvals: ticks.map(({ y }) => y), ticktext: ticks.map(({ c }) => formatNumber(c, 5)) },
    },
    label: `Measured returns on ${answer.env} over α and c; the table below has the numbers.`,
    table: csvRows(answer),
  };
}

/** Every cell of the map, or every pair, as a row of the CSV file. */
function csvRows({ alpha, tau, c, mean, sd, seeds, pairs }) {
  const drawn = pairs.tau.map((share, i) => [pairs.learning_rate[i], pairs.c[i], share, pairs.mean[i], pairs.sd[i], pairs.seeds[i]]);
  const cells = tau.flatMap((_, j) => alpha.map((_, i) => [alpha[i], c[j], tau[j], mean[j][i], sd[j][i], seeds[j][i]]));
  return [["alpha", "c", "tau", "mean_return", "sd", "seeds"], ...cells.filter(([, , , value]) => value !== null), ...drawn];
}

/** A table with a caption; the first cell of every row is its head. */
function table(caption, heads, rows, kind = "") {
  const cells = ([head, ...others]) => [el("th", { scope: "row" }, String(head)), others.map((value) => el("td", {}, String(value)))];
  return el("table", { class: `measured ${kind}` }, el("caption", {}, caption),
    el("thead", {}, el("tr", {}, heads.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, ...cells(row)))));
}

/** Randomly drawn pairs as a table, the best first; null without any. */
export function pairsTable({ caption, pairs }) {
  if (!pairs.tau.length) return null;
  const order = pairs.mean.map((_, i) => i).sort((i, j) => pairs.mean[j] - pairs.mean[i]);
  return table(caption, ["α", "c", "return"], order.map((i) => [formatNumber(pairs.learning_rate[i], 4), formatNumber(pairs.c[i], 5), pairs.short[i]]));
}

/** The atlas's contenders as a table, the best first. */
export function contendersTable({ env, contenders }) {
  const heads = ["contender", "judged", "best checkpoint", "selection seeds", "its winner"];
  return table(`${env}: contenders of the atlas, mean greedy return.`, heads,
    contenders.map((row) => [row.name, row.judged, row.best_checkpoint, row.selection, row.settings]), "contenders");
}

/** The map as a table, its rows in the order of the picture; the cell of `chosen` ({ alpha, tau }) is marked. null without a map. */
export function mapTable(answer, chosen) {
  if (!answer.tau.length) return null;
  const isChosen = (i, j) => chosen && answer.alpha[i] === chosen.alpha && answer.tau[j] === chosen.tau;
  const cell = (i, j) => el("td", { class: isChosen(i, j) ? "chosen" : null, "aria-current": isChosen(i, j) ? "true" : null }, answer.short[j][i] || "–");
  const row = (j) => el("tr", {}, el("th", { scope: "row" }, answer.c[j] === 0 ? "0, no target" : formatNumber(answer.c[j], 5)),
    answer.alpha.map((_, i) => cell(i, j)));
  return el("table", { class: "measured" },
    el("caption", {}, `${answer.caption} Columns: α. Rows: c. The cell nearest to your pair is marked.`),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "c \\ α"), answer.alpha.map((alpha) => el("th", { scope: "col" }, formatNumber(alpha, 3))))),
    el("tbody", {}, answer.tau.map((_, j) => row(j)).reverse()));
}

/** The arms of comparisons as a table; null without any. */
export function armsTable({ env, arms }) {
  if (!arms.length) return null;
  return table(`${env}: arms of softstep compare, mean greedy return ± SD.`, ["α", "c", "return", "seeds", "γ", "gradient steps"],
    arms.map((arm) => [formatNumber(arm.learning_rate, 3), arm.c === 0 ? "0, no target" : formatNumber(arm.c, 5), arm.short, arm.seeds,
      arm.gamma, arm.updates]));
}
