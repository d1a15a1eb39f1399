"use strict";
const root = document.documentElement;
const parsed = (id) => JSON.parse(document.getElementById(id).textContent);
const plots = [...document.querySelectorAll(".plot")];
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const hidden = new Set();

function colours() {
  const style = getComputedStyle(root);
  const of = (name) => style.getPropertyValue(name).trim();
  const axis = { gridcolor: of("--grid"), linecolor: of("--line"), tickcolor: of("--line") };
  const layout = { "font.color": of("--quiet"), "hoverlabel.bgcolor": of("--panel"),
    "hoverlabel.bordercolor": of("--line"), "hoverlabel.font.color": of("--ink") };
  for (const name of ["xaxis", "yaxis"])
    for (const [key, value] of Object.entries(axis)) layout[`${name}.${key}`] = value;
  return layout;
}

async function draw() {
  const dragmode = matchMedia("(pointer: fine)").matches ? "zoom" : false;
  for (const plot of plots) {
    const { data, layout } = parsed(`${plot.id}-figure`);
    await Plotly.newPlot(plot, data, { ...layout, dragmode }, { displayModeBar: false, responsive: true });
    await Plotly.relayout(plot, colours());
  }
}

const recolour = () => plots.forEach((plot) => Plotly.relayout(plot, colours()));

document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches;
  root.dataset.theme = dark ? "light" : "dark";
  recolour();
});
systemDark.addEventListener("change", recolour);

for (const chip of document.querySelectorAll("#arms button"))
  chip.addEventListener("click", () => {
    const { arm } = chip.dataset;
    hidden.has(arm) ? hidden.delete(arm) : hidden.add(arm);
    chip.setAttribute("aria-pressed", String(!hidden.has(arm)));
    for (const plot of plots)
      Plotly.restyle(plot, { visible: plot.data.map((trace) => !hidden.has(trace.legendgroup)) });
  });

function rows(table) {
  if (Array.isArray(table)) return table;
  const names = Object.keys(table);
  return (table[names[0]] ?? []).map((_, i) => Object.fromEntries(names.map((name) => [name, table[name][i]])));
}

function csv(table) {
  const flat = rows(table).map(({ interval, ...row }) =>
    interval ? { ...row, low: interval[0], high: interval[1] } : row);
  const names = [...new Set(flat.flatMap((row) => Object.keys(row)))];
  const cell = (value) => {
    const text = Array.isArray(value) ? value.join("; ") : String(value ?? "");
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [names, ...flat.map((row) => names.map((name) => row[name]))]
    .map((line) => line.map(cell).join(",") + "\n").join("");
}

function save(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function unpacked(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

for (const button of document.querySelectorAll("button[data-table]"))
  button.addEventListener("click", async () => {
    const { table, format } = button.dataset;
    const data = await unpacked(`data-${table}`);
    if (format === "csv") save(`${table}.csv`, csv(data), "text/csv");
    else save(`${table}.json`, JSON.stringify(rows(data), null, 1), "application/json");
  });

draw();
