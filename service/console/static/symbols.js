// The table of symbols, the most stressed first.

import { $, drawing, marked, meter, setText, svg } from "./elements.js";
import { foreign, h, percent, price, printable } from "./format.js";

const rows = new Map(); // by symbol; rows are reused, so that the focus stays

function spark(values) {
  const plot = drawing(100, 26);
  plot.append(svg("line", { x1: 0, x2: 100, y1: 25, y2: 25 }));
  let points = [];
  const flush = () => {
    if (points.length) plot.append(svg("polyline", { points: points.join(" ") }));
    points = [];
  };
  values.forEach((value, i) => {
    if (value === null) flush();
    else points.push(`${(100 * i) / (values.length - 1)},${25 - 23 * Math.min(1, value)}`);
  });
  flush();
  return plot;
}

function newRow(symbol, choose) {
  const pick = h("button", { class: "pick", type: "button", title: printable(symbol) }, foreign(symbol));
  const cells = {
    symbol: h("td", {}, pick, h("span")),
    stress: h("td"),
    spark: h("td", { class: "spark" }),
    price: h("td", { class: "number" }),
    depth: h("td", { class: "number" }),
    near: h("td", { class: "number near" }),
  };
  const element = h("tr", {}, ...Object.values(cells));
  element.addEventListener("click", () => choose(symbol));
  return { element, cells, pick };
}

function stress({ state, learned_ratio, stress_ratio }) {
  if (state === "warming_up") return h("span", { class: state }, `${percent(learned_ratio)} learned`);
  if (state === "too_sparse") return h("span", { class: "muted" }, "not judged");
  if (stress_ratio === null) return h("span", { class: "muted" }, "–");
  return h("span", { class: `gauge ${state}` }, meter(stress_ratio), stress_ratio.toFixed(2));
}

function fill({ element, cells, pick }, row, selected) {
  element.classList.toggle("selected", selected);
  pick.setAttribute("aria-pressed", String(selected));
  cells.symbol.replaceChild(h("span", { class: `state ${row.state}` }, marked(row.state)), cells.symbol.lastChild);
  cells.stress.replaceChildren(stress(row));
  cells.spark.replaceChildren(row.spark.length ? spark(row.spark) : "");
  cells.price.replaceChildren(price(row.price), h("br"), h("small", {}, percent(row.change_ratio, 2, true)));
  cells.depth.replaceChildren(percent(row.depth_ratio));
  cells.near.replaceChildren(row.cascade_bps === null ? "–" : row.cascade_bps.toFixed(0));
}

// ``choose`` is called with the symbol that the user picks.
export function showSymbols({ symbols, watched, risk_watched }, chosen, choose) {
  $("symbols").classList.toggle("risk", risk_watched);
  const body = $("symbols").tBodies[0];
  const focused = document.activeElement;
  symbols.forEach((row, index) => {
    if (!rows.has(row.symbol)) rows.set(row.symbol, newRow(row.symbol, choose));
    const shown = rows.get(row.symbol);
    fill(shown, row, row.symbol === chosen);
    if (body.children[index] !== shown.element) body.insertBefore(shown.element, body.children[index] ?? null);
  });
  while (body.children.length > symbols.length) body.lastChild.remove();
  const listed = new Set(symbols.map((row) => row.symbol));
  for (const symbol of rows.keys()) if (!listed.has(symbol)) rows.delete(symbol);
  if (focused !== document.activeElement && document.contains(focused)) focused.focus();
  const unlisted = watched - symbols.length;
  setText($("more"), watched === 0 ? "no symbols yet"
    : unlisted > 0 ? `and ${unlisted} less stressed symbols; type a name above to show one` : "");
}
