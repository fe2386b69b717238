// One symbol in detail: open incidents, plots, the risk of its positions, detector readings and the book.

import { showBook } from "./book.js";
import { $, marked, setText } from "./elements.js";
import { clock, foreign, h, label, percent, price, printable } from "./format.js";
import { draw } from "./plots.js";
import { showRisk } from "./risk.js";
import { switchLine } from "./venue.js";
import { showWhatIf } from "./what_if.js";
import { showWhy } from "./why.js";

const RAISED = 0.9; // of the way to an alarm

let drawing = false;

export function showSymbol(detail, row, overview) {
  $("detail-title").replaceChildren(foreign(detail.symbol), ...(row ? [
    h("span", { class: `now ${row.state}` }, marked(row.state)),
    h("span", { class: "now" }, price(row.price), " ", h("small", {}, `${percent(row.change_ratio, 2, true)} in 5 min`)),
  ] : []));
  const text = note(detail, row);
  setText($("detail-note"), text);
  $("detail-note").hidden = !text;
  showSwitch(detail.killswitch);
  showWhy(detail.incidents, row, overview);
  const hasBars = detail.bars.ts_ms.length > 1;
  $("plots").hidden = !hasBars;
  $("inside").hidden = !detail.known;
  if (hasBars) drawPlots(detail);
  showRisk(detail.risk);
  showWhatIf(detail.symbol, detail.risk);
  if (detail.known) {
    showDetectors(detail.detectors);
    showBook(detail.book);
  }
}

function showSwitch(killswitch) {
  const line = $("switch");
  line.hidden = killswitch === null;
  if (killswitch === null) return;
  setText(line, switchLine(killswitch));
  line.className = { armed: "muted", caution: "warning" }[killswitch.state] ?? "critical";
}

function note(detail, row) {
  if (!detail.known) return "This process does not watch this symbol. Another process of the group watches it, or it has had no events yet.";
  if (!detail.kept) return "No plots: the console keeps the bars of a limited number of symbols, and others are more stressed. Plots start when this symbol is under stress.";
  if (row?.state === "warming_up") return `Warming up, ${percent(row.learned_ratio)} done: no detection until the baselines of this symbol are learned.`;
  if (row?.state === "too_sparse") return "No detection: this symbol has too few events. Each pause of more than a minute restarts the warm-up.";
  if (row?.mistrusted.length) return `The feed is unreliable: ${row.mistrusted.map(printable).join("; ")}.`;
  if (row?.state === "quiet") return "No events for more than a minute: all values are of that time.";
  return "";
}

async function drawPlots({ symbol, bars, incidents }) {
  if (document.hidden || drawing || typeof Plotly === "undefined") return;
  drawing = true;
  const plots = $("plots");
  try {
    await draw(plots, bars, { symbol, incidents });
    plots.setAttribute("aria-label",
      `price, depth, activity, leverage, stress and scores from ${clock(bars.ts_ms[0])} to ${clock(bars.ts_ms.at(-1))} UTC; the latest values are in the lists below`);
    plots.dataset.drawn = symbol;
  } finally {
    drawing = false;
  }
}

function statusText({ status, suppressed, alarm, alarms, stress_ratio, score }) {
  if (status === "no_input") return "no input";
  if (status === "warming_up") return "warming up";
  if (status === "too_sparse") return "too few events";
  if (suppressed !== null) return `suppressed: ${suppressed}`;
  if (alarm) return "▲ alarm";
  if (!alarms) return "reports lasting changes only";
  return `stress ${(stress_ratio ?? 0).toFixed(2)}, score ${(score ?? 0).toFixed(1)}`;
}

function showDetectors(detectors) {
  $("detectors").replaceChildren(...detectors.map((detector) => h(
    "div", { class: "reading" },
    h("p", { class: "head" }, h("b", {}, label(detector.name)), h("span", { class: detector.alarm ? "warning" : "muted" }, printable(statusText(detector)))),
    h("ul", {}, ...detector.features.slice(0, 3).map(({ deviation, text }) => h(
      "li", { class: deviation >= (detector.alarms ? RAISED : 3) ? "out" : null },
      h("span", { class: "z" }, detector.alarms ? deviation.toFixed(2) : `${deviation >= 0 ? "+" : ""}${deviation.toFixed(1)} σ`),
      h("span", {}, printable(text)),
    ))),
  )));
}
