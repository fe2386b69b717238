// A symbol's bars over time: price, depth, activity, leverage, stress and scores on one time axis.

import { label } from "./format.js";

const GAP_MS = 30_000; // a line is broken where no bar closed for so long
const PANELS = [
  { title: "price", lines: [["mid", "mid price"]] },
  {
    title: "depth within 25 bps",
    lines: [["bid_depth", "bids"], ["ask_depth", "asks"], ["usual_side", "usual", "dot"]],
    least: 1,
  },
  {
    title: "events a bar",
    lines: [["orders", "orders"], ["cancels", "cancels"], ["trades", "trades"]],
    least: 1,
  },
  {
    title: "leverage",
    lines: [
      ["leverage_excess_ratio", "above the accounts' baselines"],
      ["near_maximum_ratio", "share near the venue's maximum"],
    ],
    tickformat: ".0%",
    least: 0.05,
  },
  { title: "stress, 1 = alarm", lines: [["stress_ratio", "stress"]], range: [0, 1.08], alarm: true },
  { title: "scores, standard deviations", short: "scores, σ", lines: [], least: 5 },
];

// A colour of the theme.
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// The columns with a hole wherever no bar closed for long.
function broken(bars) {
  const ts = bars.ts_ms;
  const holes = [];
  for (let i = 1; i < ts.length; i += 1) {
    if (ts[i] - ts[i - 1] > Math.max(GAP_MS, 3 * (bars.step_ms || 0))) holes.push(i);
  }
  if (!holes.length) return bars;
  const cut = (values, filler) => {
    const out = [];
    let from = 0;
    for (const hole of holes) {
      out.push(...values.slice(from, hole), filler(hole));
      from = hole;
    }
    out.push(...values.slice(from));
    return out;
  };
  const columns = {};
  for (const [name, values] of Object.entries(bars.columns)) columns[name] = cut(values, () => null);
  return { ts_ms: cut(ts, (hole) => ts[hole - 1] + 1), columns };
}

function panels(columns) {
  const scores = Object.keys(columns).filter((name) => name.startsWith("score_"));
  const last = {
    ...PANELS[PANELS.length - 1],
    lines: scores.map((name) => [name, label(name.slice("score_".length))]),
  };
  return [...PANELS.slice(0, -1), last].map((panel) => ({
    ...panel,
    lines: panel.lines.filter(([name]) => (columns[name] || []).some((v) => v !== null)),
  }));
}

// From zero, or from what is below it, up to the highest value, at least to the panel's least.
function reach(panel, columns) {
  let [low, high] = [0, panel.least];
  for (const [name] of panel.lines) {
    for (const value of columns[name]) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  const margin = 0.04 * (high - low);
  return [low < 0 ? low - margin : 0, high + margin];
}

function axis(panel, columns, top, height) {
  return {
    domain: [Math.max(0, top - height), top],
    zeroline: false,
    gridcolor: colour("line"),
    linecolor: colour("line"),
    tickcolor: colour("line"),
    nticks: 4,
    fixedrange: true,
    tickformat: panel.tickformat,
    ...(panel.range ? { range: panel.range, tickvals: [0, 0.5, 1] } : {}),
    ...(panel.least ? { range: reach(panel, columns) } : {}),
    automargin: false,
  };
}

// Alarms as bands over all panels; one that is open ends with the last bar.
function bands(incidents, [first, last]) {
  const told = incidents.filter(({ kind, starts_ms, ends_ms }) =>
    kind === "alarm" && starts_ms < last && (ends_ms ?? last) > first);
  return told.map((incident) => ({
    type: "rect",
    xref: "x",
    yref: "paper",
    x0: Math.max(first, incident.starts_ms),
    x1: Math.min(last, incident.ends_ms ?? last),
    y0: 0,
    y1: 1,
    layer: "below",
    line: { width: 1, color: colour(incident.severity === "critical" ? "critical" : "warning") },
    fillcolor: colour(incident.severity === "critical" ? "critical" : "warning"),
    opacity: 0.16,
  }));
}

// Draws into an element, or draws anew; what was zoomed stays so while the symbol is the same.
export function draw(element, bars, { symbol, incidents = [] }) {
  const usual = bars.columns.usual_depth.map((v) => (v === null || v <= 0 ? null : v / 2));
  const { ts_ms, columns } = broken({
    ...bars,
    columns: { ...bars.columns, usual_side: usual },
  });
  const shown = panels(columns);
  const narrow = element.clientWidth < 600;
  // What a legend takes: on a narrow page it has a line for every two names.
  const gaps = shown.map(({ lines }) => (!narrow ? 0.035 : lines.length > 3 ? 0.085 : 0.06));
  const above = (index) => gaps.slice(0, index + 1).reduce((sum, gap) => sum + gap);
  const span = [ts_ms[0], ts_ms[ts_ms.length - 1]];
  const height = (1 - above(shown.length - 1)) / shown.length;
  const traces = [];
  const layout = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("text"), size: 13, family: "system-ui, sans-serif" },
    margin: { l: 62, r: 12, t: 4, b: 34 },
    hovermode: "x unified",
    hoversubplots: "axis",
    hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { size: 12 } },
    dragmode: "zoom",
    uirevision: symbol,
    shapes: bands(incidents, span),
    xaxis: {
      type: "date",
      hoverformat: "%H:%M:%S",
      gridcolor: colour("line"),
      linecolor: colour("line"),
      anchor: `y${shown.length}`,
      range: span,
    },
  };
  shown.forEach((panel, index) => {
    const top = 1 - index * height - above(index);
    const name = index === 0 ? "y" : `y${index + 1}`;
    layout[index === 0 ? "yaxis" : `yaxis${index + 1}`] = axis(panel, columns, top, height);
    // A legend a panel, with the panel's title in it.
    const legend = index === 0 ? "legend" : `legend${index + 1}`;
    layout[legend] = {
      orientation: "h",
      x: 0,
      y: top,
      yanchor: "bottom",
      bgcolor: "rgba(0,0,0,0)",
      title: {
        text: `${(narrow && panel.short) || panel.title}${panel.lines.length ? "" : ": none yet"}`,
        side: "left",
        font: { size: 12, weight: 700, color: colour("text") },
      },
      font: { size: 12, color: colour("muted") },
      itemclick: false,
      itemdoubleclick: false,
      tracegroupgap: 0,
    };
    if (panel.alarm) {
      layout.shapes.push({
        type: "line", xref: "paper", yref: name, x0: 0, x1: 1, y0: 1, y1: 1,
        line: { color: colour("critical"), width: 1, dash: "dot" },
      });
    }
    panel.lines.forEach(([column, words, dash], i) => {
      traces.push({
        x: ts_ms,
        y: columns[column],
        yaxis: name,
        xaxis: "x",
        name: words,
        type: "scatter",
        mode: "lines",
        legend,
        showlegend: true,
        line: { color: colour(`series-${i + 1}`), width: 1.5, dash: dash || "solid" },
        ...(panel.alarm ? { fill: "tozeroy" } : {}),
        connectgaps: false,
      });
    });
    if (!panel.lines.length) {
      traces.push({ x: ts_ms.slice(0, 1), y: [null], yaxis: name, xaxis: "x", type: "scatter", mode: "lines", name: "", legend, showlegend: true, hoverinfo: "skip", line: { color: "rgba(0,0,0,0)" } });
    }
  });
  return Plotly.react(element, traces, layout, {
    displayModeBar: false,
    responsive: true,
    doubleClick: "reset",
  });
}
