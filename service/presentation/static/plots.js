// A symbol's bars over time: price, depth, activity, leverage, stress and scores on one time axis.

import { label } from "./format.js";

const GAP_MS = 30_000; // a line has a gap where no bar closed for longer
const PANELS = [
  { title: "price", lines: [["mid", "mid price"]] },
  {
    title: "depth within 5 typical spreads",
    lines: [["bid_depth", "bids"], ["ask_depth", "asks"], ["usual_side", "usual", "dot"]],
    least: 1,
  },
  {
    title: "events per bar",
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
  { title: "scores, powers of ten", short: "scores", lines: [], least: 5 },
];

// A colour of the theme.
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// The columns with a null value at each gap.
function withGaps(bars) {
  const ts = bars.ts_ms;
  const gaps = [];
  for (let i = 1; i < ts.length; i += 1) {
    if (ts[i] - ts[i - 1] > Math.max(GAP_MS, 3 * (bars.step_ms || 0))) gaps.push(i);
  }
  if (!gaps.length) return bars;
  const cut = (values, filler) => {
    const out = [];
    let from = 0;
    for (const gap of gaps) {
      out.push(...values.slice(from, gap), filler(gap));
      from = gap;
    }
    out.push(...values.slice(from));
    return out;
  };
  const columns = {};
  for (const [name, values] of Object.entries(bars.columns)) columns[name] = cut(values, () => null);
  return { ts_ms: cut(ts, (gap) => ts[gap - 1] + 1), columns };
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

// The range of an axis: from zero or the lowest value below it to the highest value, at least to
// the panel's ``least``.
function axisRange(panel, columns) {
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
    ...(panel.least ? { range: axisRange(panel, columns) } : {}),
    automargin: false,
  };
}

// Incidents as bands over all panels; the band of an open incident ends at the last bar.
function bands(incidents, [first, last]) {
  const visible = incidents.filter(({ kind, starts_ms, ends_ms }) =>
    kind === "alarm" && starts_ms < last && (ends_ms ?? last) > first);
  return visible.map((incident) => ({
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

// Draw into an element, or redraw it; the zoom stays while the symbol is the same.
export function draw(element, bars, { symbol, incidents = [] }) {
  const usual = bars.columns.usual_depth.map((v) => (v === null || v <= 0 ? null : v / 2));
  const { ts_ms, columns } = withGaps({
    ...bars,
    columns: { ...bars.columns, usual_side: usual },
  });
  const shown = panels(columns);
  const narrow = element.clientWidth < 600;
  // The room for each legend: on a narrow page it has one line for every two names.
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
    // One legend per panel, with the panel's title.
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
    panel.lines.forEach(([column, lineName, dash], i) => {
      traces.push({
        x: ts_ms,
        y: columns[column],
        yaxis: name,
        xaxis: "x",
        name: lineName,
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
