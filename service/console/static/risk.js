// The risk of a symbol's positions: the liquidation map, and how far a cascade is.

import { $, drawing, setText, svg } from "./elements.js";
import { amount, clock, h, percent, price, printable } from "./format.js";

const LEAST_COVERAGE = 0.9; // with less, much is not counted
const WORDS = {
  long: { move: "fall", hit: "longs", order: "sale" },
  short: { move: "rise", hit: "shorts", order: "purchase" },
};

export function showRisk(risk) {
  $("risk").hidden = false;
  $("risk").dataset.state = risk.state;
  setText($("risk-note"), risk.note || told(risk));
  $("risk-note").className = "muted";
  $("risk-shown").replaceChildren(...(risk.sides.length ? [map(risk), figures(risk), assumed(risk)] : []));
}

function told({ ts_ms, mark_price, open_interest, evicted_positions }) {
  const evicted = evicted_positions ? `; ${amount(evicted_positions)} positions of the venue left out (risk.max_positions)` : "";
  return `as of ${clock(ts_ms)} UTC, from the known positions; open interest ${amount(open_interest)} at the mark price ${price(mark_price)}${evicted}`;
}

// The map: prices from above to below the mark price, each with what is forced out on the way there.
function map(risk) {
  const largest = Math.max(1e-9, ...risk.sides.flatMap(({ rungs }) => rungs.flatMap((rung) => [rung.notional, rung.depth ?? 0])));
  const rows = (kind) => risk.sides.filter(({ side }) => side === kind).flatMap(({ rungs }) => rungs.map((rung) => row(kind, rung, largest)));
  const column = (...content) => h("th", { scope: "col", class: "number" }, ...content);
  return h("table", { class: "map" },
    h("caption", {}, "Liquidation map: ",
      swatch("long"), " longs and ", swatch("short"), " shorts that a move to the price forces out, over ",
      swatch("depth"), " the quoted depth on the way there, and of it ", swatch("stressed"),
      " what usually survives such a move"),
    h("thead", {}, h("tr", {}, column("mark price"), h("th", { scope: "col" }, "forced, depth"),
      column("forced ", h("small", {}, "accounts")), column("depth ", h("small", {}, "surviving, forced over depth")))),
    h("tbody", {}, ...rows("short").reverse(),
      h("tr", { class: "mark" }, h("th", { scope: "row", class: "number" }, price(risk.mark_price)), h("td", { colspan: 3 }, "mark price now")),
      ...rows("long")));
}

function swatch(kind) {
  const drawn = drawing(14, 10);
  drawn.append(kind === "depth" || kind === "stressed" ? depthBar(14, kind) : forcedBar(kind, 14));
  return drawn;
}

// They differ in form as in colour: what is forced is thick and filled, depth is thin and hollow, and
// of it the part that survives is filled.
const forcedBar = (kind, width) => svg("rect", { class: kind, x: 0, y: 0, width, height: 6 });
const depthBar = (width, kind) => svg("rect", { class: kind, x: 0, y: 6.8, width, height: 2.4 });

function row(kind, { move_bps, price: at, notional, accounts, largest_ratio, depth, stressed_depth }, largest) {
  const bars = drawing(100, 10);
  if (notional > 0) bars.append(forcedBar(kind, Math.max(0.7, (100 * notional) / largest)));
  if (stressed_depth > 0) bars.append(depthBar(Math.max(0.7, (100 * stressed_depth) / largest), "stressed"));
  if (depth > 0) bars.append(depthBar(Math.max(0.7, (100 * depth) / largest), "depth"));
  const beyond = depth !== null && notional > depth;
  const multiple = depth > 0 && notional > 0 ? `${beyond ? "▲ " : ""}${(notional / depth).toPrecision(2)} ×` : beyond ? "▲" : "";
  const alone = accounts > 1 ? `, largest ${percent(largest_ratio)}` : "";
  return h("tr", { class: kind },
    h("th", { scope: "row", class: "number" }, price(at), " ", h("small", {}, `${kind === "long" ? "−" : "+"}${move_bps.toFixed(0)} bps`)),
    h("td", { class: "bars" }, bars),
    h("td", { class: "number" }, amount(notional), " ", h("small", {}, accounts ? `${amount(accounts)}${alone}` : "none")),
    h("td", { class: "number" }, amount(depth), " ", h("small", {}, stressed_depth === null ? "" : amount(stressed_depth)), " ",
      h("small", { class: beyond ? "beyond" : null }, multiple)));
}

// A drawn number: its median, and the 10 and 90 % quantiles; ``none`` where no move does it.
function spread(interval, format, none) {
  if (!interval) return "–";
  const [low, middle, high] = [interval.p10, interval.p50, interval.p90].map((value) => (value === null ? none : format(value)));
  return low === high ? middle : `${middle} (${low} to ${high})`;
}

function figures(risk) {
  const share = percent(risk.cascade_ratio);
  const sides = [...risk.sides].sort((a, b) => a.side.localeCompare(b.side));
  const line = (name, value) => h("tr", {}, h("th", { scope: "row" }, name), ...sides.map((side) => h("td", {}, value(side))));
  const run = (field, format) => ({ cascade }) => (cascade ? spread(cascade[field], format, "unbounded") : "–");
  const bps = (value) => `${value.toFixed(value < 10 ? 1 : 0)} bps`;
  return h("table", { class: "figures" },
    h("caption", {}, `A cascade: a run of liquidations over ${share} of the open interest. Median, and 10 to 90 % where they differ`),
    h("thead", {}, h("tr", {}, h("th", {}), ...sides.map(({ side }) => h("th", { scope: "col" }, `${WORDS[side].hit}, by a ${WORDS[side].move}`)))),
    h("tbody", {},
      line("distance", ({ cascade }) => (cascade ? h("strong", {}, spread(cascade.distance_bps, bps, "no move")) : "not known yet: the impact of sales is being learned")),
      line("as an ordinary order", order),
      line("within 0.85 %", ({ cascade_probability }) => (cascade_probability === null ? "–" : `${percent(cascade_probability)} of draws`)),
      line("forced notional", run("notional", amount)),
      line("accounts", run("accounts", (value) => value.toFixed(0))),
      line("loss beyond collateral", run("loss", amount)),
      line("of it, beyond the fund", run("beyond_fund", amount)),
      line("newly forced per unit (R)", ({ reproduction }) => spread(reproduction, (value) => value.toFixed(2), "unbounded")),
      line("known positions", coverage),
      h("tr", {}, h("th", { scope: "row" }, "insurance fund"), h("td", { colspan: sides.length }, risk.insurance_fund === null ? "not known" : amount(risk.insurance_fund)))));
}

// The ordinary sale or purchase that makes the same move.
function order({ side, cascade }) {
  if (!cascade) return "–";
  const word = WORDS[side].order;
  const told = spread(cascade.sale_notional, amount, `no ${word}`);
  return cascade.sale_notional.p50 === null ? told : `${word} of ${told}`;
}

function coverage({ coverage_ratio, assumed_ratio, positions }) {
  const few = coverage_ratio !== null && coverage_ratio < LEAST_COVERAGE;
  const ratio = coverage_ratio === null ? "share of open interest not known" : `${percent(coverage_ratio)} of open interest`;
  const guessed = assumed_ratio > 0 ? `; margin assumed for ${percent(assumed_ratio)}` : "";
  return h("span", { class: few ? "warning" : null }, `${few ? "▲ " : ""}${ratio}, ${amount(positions)} ${positions === 1 ? "position" : "positions"}${guessed}${few ? "; the others are not counted" : ""}`);
}

function assumed({ assumptions }) {
  return h("div", { class: "assumed" },
    h("p", {}, h("strong", {}, "Assumed")),
    h("ul", {}, ...assumptions.map((text) => h("li", {}, printable(text)))));
}
