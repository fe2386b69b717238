// One symbol in depth: what is open, its plots, what each detector sees, and its book.

import { showBook } from "./book.js";
import { $, marked, setText } from "./elements.js";
import { clock, foreign, h, label, percent, price, printable } from "./format.js";
import { draw } from "./plots.js";
import { showWhy } from "./why.js";

let drawing = false;

export function showSymbol(detail, row, overview) {
  $("detail-title").replaceChildren(foreign(detail.symbol), ...(row ? [
    h("span", { class: `now ${row.state}` }, marked(row.state)),
    h("span", { class: "now" }, price(row.price), " ", h("small", {}, `${percent(row.change_ratio, 2, true)} in 5 min`)),
  ] : []));
  const said = note(detail, row);
  setText($("detail-note"), said);
  $("detail-note").hidden = !said;
  showWhy(detail.incidents, row, overview);
  const any = detail.bars.ts_ms.length > 1;
  $("plots").hidden = !any;
  $("inside").hidden = !detail.known;
  if (any) drawPlots(detail);
  if (detail.known) {
    showDetectors(detail.detectors);
    showBook(detail.book);
  }
}

function note(detail, row) {
  if (!detail.known) return "This process does not watch this symbol: another of its group does, or nobody has traded it yet.";
  if (!detail.kept) return "Its bars are not kept: more symbols are watched than the console remembers, and others are more stressed. It gets its place once it is stressed itself.";
  if (row?.state === "warming_up") return `Warming up, ${percent(row.learned_ratio)} done: nothing is judged before it is known what is usual for this symbol.`;
  if (row?.mistrusted.length) return `What comes in is not to be trusted: ${row.mistrusted.map(printable).join("; ")}.`;
  if (row?.state === "quiet") return "No event for more than a minute: what is shown is as it was then.";
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

function status({ status: its, suppressed, alarm, alarms, stress_ratio, score }) {
  if (its === "no_input") return "no input";
  if (its === "warming_up") return "warming up";
  if (suppressed !== null) return `suppressed: ${suppressed}`;
  if (alarm) return "▲ alarm";
  if (!alarms) return "watched for lasting change only";
  return `stress ${(stress_ratio ?? 0).toFixed(2)}, score ${(score ?? 0).toFixed(1)}`;
}

function showDetectors(detectors) {
  $("detectors").replaceChildren(...detectors.map((its) => h(
    "div", { class: "reading" },
    h("p", { class: "head" }, h("b", {}, label(its.name)), h("span", { class: its.alarm ? "warning" : "muted" }, printable(status(its)))),
    h("ul", {}, ...its.features.slice(0, 3).map(({ deviation, words }) => h(
      "li", { class: deviation >= 3 ? "out" : null },
      h("span", { class: "z" }, `${deviation >= 0 ? "+" : ""}${deviation.toFixed(1)} σ`),
      h("span", {}, printable(words)),
    ))),
  )));
}
