// The plots of the report: drawn when they come into view or when there is time, on one time axis.

import { printable } from "./format.js";
import { colour, draw } from "./plots.js";

const MARGIN_MS = 300_000; // time shown before and after an incident
const data = JSON.parse(document.getElementById("data").textContent);
const elements = [...document.querySelectorAll("section.symbol .plot")];
const begun = new Set();
const drawn = new Set();
let range = null; // the zoomed time; null for the whole time
let zooming = false;

function whole() {
  const all = data.symbols.flatMap(({ bars }) => [bars.ts_ms[0], bars.ts_ms[bars.ts_ms.length - 1]]);
  return [Math.min(...all), Math.max(...all)];
}

// Zoom all plots to a time; the source, if any, has this zoom already.
async function zoom(to, source = null) {
  if (zooming) return;
  zooming = true;
  range = to;
  try {
    for (const element of drawn) {
      if (element !== source) await Plotly.relayout(element, { "xaxis.range": to ?? whole() });
    }
  } finally {
    zooming = false;
  }
}

function link(element) {
  drawn.add(element);
  element.on("plotly_relayout", (change) => {
    if (change["xaxis.range[0]"] !== undefined) {
      const ms = (moment) => (typeof moment === "number" ? moment : Date.parse(`${moment.replace(" ", "T")}Z`));
      zoom([ms(change["xaxis.range[0]"]), ms(change["xaxis.range[1]"])], element);
    } else if (change["xaxis.autorange"]) {
      zoom(null);
    }
  });
  element.on("plotly_doubleclick", () => { zoom(null); });
}

async function drawSymbol(element) {
  if (begun.has(element)) return;
  begun.add(element);
  const { symbol, bars, incidents } = data.symbols[elements.indexOf(element)];
  await draw(element, bars, { symbol, incidents });
  await Plotly.relayout(element, { "xaxis.range": range ?? whole() });
  link(element);
  element.dataset.drawn = "yes";
}

async function drawStripes() {
  const { symbols, ts_ms, stress } = data.stripes;
  const element = document.getElementById("stripes");
  element.style.height = `${90 + 22 * symbols.length}px`;
  await Plotly.newPlot(element, [{
    type: "heatmap",
    x: ts_ms,
    y: symbols.map((_, i) => i),
    z: stress,
    zmin: 0,
    zmax: 1,
    colorscale: [[0, colour("panel")], [0.5, colour("line")], [0.8, colour("warning")], [1, colour("critical")]],
    showscale: false,
    hovertemplate: "%{x|%H:%M:%S}: %{z}<extra></extra>",
  }], {
    margin: { l: 150, r: 10, t: 8, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("text"), size: 13, family: "system-ui, sans-serif" },
    xaxis: { type: "date", range: whole() },
    // Names come from the feed; the plotting library would interpret markup in them.
    yaxis: {
      autorange: "reversed", fixedrange: true, tickvals: symbols.map((_, i) => i),
      ticktext: symbols.map((name) => short(name)),
    },
    dragmode: "zoom",
  }, { displayModeBar: false, responsive: true, doubleClick: false });
  link(element);
  element.dataset.drawn = "yes";
}

const RISK_COLOURS = 5; // of the theme
const DASHES = ["solid", "dash", "dot"]; // and for those that cannot tell the colours apart

async function drawRisk() {
  const element = document.getElementById("risk-plot");
  const line = { type: "scatter", mode: "lines", connectgaps: false };
  const traces = data.risk.flatMap(({ symbol, side, ts_ms, p10, p50, p90 }, i) => {
    const of = colour(`series-${1 + (i % RISK_COLOURS)}`);
    const name = `${short(symbol)} ${side}s`;
    const more = { ...line, x: ts_ms, legendgroup: String(i), showlegend: false, hoverinfo: "skip" };
    return [
      { ...more, y: p10, line: { width: 0.5, color: of } },
      { ...more, y: p90, line: { width: 0.5, color: of } },
      { ...line, x: ts_ms, y: p50, name, legendgroup: String(i), showlegend: true, line: { width: 2, color: of, dash: DASHES[i % DASHES.length] }, hovertemplate: "%{y:.0f} bps" },
    ];
  });
  element.style.height = "380px";
  await Plotly.newPlot(element, traces, {
    margin: { l: 70, r: 12, t: 8, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("text"), size: 13, family: "system-ui, sans-serif" },
    hovermode: "x unified",
    legend: { orientation: "h", y: 1.02, yanchor: "bottom" },
    xaxis: { type: "date", hoverformat: "%H:%M:%S", range: range ?? whole(), gridcolor: colour("line") },
    yaxis: { type: "log", title: { text: "distance, bps" }, fixedrange: true, gridcolor: colour("line") },
    shapes: [{ type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: 85, y1: 85, line: { color: colour("critical"), width: 1, dash: "dot" } }],
    dragmode: "zoom",
  }, { displayModeBar: false, responsive: true, doubleClick: false });
  link(element);
  element.dataset.drawn = "yes";
}

function short(name) {
  const text = printable(name);
  const cut = text.length > 18 ? `${text.slice(0, 17)}…` : text;
  return cut.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

for (const link_ of document.querySelectorAll("a[data-from]")) {
  link_.addEventListener("click", () => {
    const [first, last] = whole();
    const from = Number(link_.dataset.from);
    const to = link_.dataset.to === "null" ? last : Number(link_.dataset.to);
    zoom([Math.max(first, from - MARGIN_MS), Math.min(last, to + MARGIN_MS)]);
  });
}

if (data.stripes.symbols.length) drawStripes();
if (data.risk.length) drawRisk();
const visibility = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting) {
      visibility.unobserve(target);
      drawSymbol(target);
    }
  }
}, { rootMargin: "600px" });
for (const element of elements) visibility.observe(element);
window.addEventListener("beforeprint", () => {
  for (const element of elements) drawSymbol(element);
});

// Not every browser tells before it prints or saves: draw the rest while nothing else is to do.
const whenIdle = window.requestIdleCallback ?? ((call) => setTimeout(call, 50));
async function drawNext() {
  const element = elements.find((its) => !begun.has(its));
  if (element === undefined) return;
  await drawSymbol(element);
  whenIdle(drawNext);
}
whenIdle(drawNext);
