// The venue: the graph of how liquidations would spread with a table beside it, and the kill switches.

import { $, setText, svg } from "./elements.js";
import { amount, clock, foreign, h, percent, printable } from "./format.js";

const [WIDTH, HEIGHT, ROUND_X, ROUND_Y] = [640, 420, 210, 150];
const [SMALLEST, LARGEST] = [5, 22]; // radius of a node
const GLYPHS = { armed: "●", caution: "◐", reduce_only: "▼", tripped: "■", held: "✋" };

let shown = "";

export function showVenue(venue) {
  const current = JSON.stringify(venue);
  if (current === shown) return;
  shown = current;
  showContagion(venue.contagion);
  showConduct(venue);
  showSwitches(venue);
}

// What the detectors of the venue's conduct find; where a stream is missing, its name.
function showConduct({ conduct, conduct_note }) {
  setText($("conduct-note"), conduct_note);
  $("conduct").hidden = !conduct.length;
  $("conduct").querySelector("tbody").replaceChildren(...conduct.map(({ detector, missing, severity, incidents }) => h("tr", {},
    h("th", { scope: "row" }, detector),
    h("td", { class: severity }, missing.length ? "no input" : severity === null ? "nothing found" : `${severity === "critical" ? "■" : "▲"} ${severity}`),
    h("td", {}, missing.length ? `needs ${missing.join(", ")}` : incidents.map(printable).join(" · ")))));
}

// The state of a symbol's kill switch in a line.
export function switchLine({ state, reason, since_ms, until_ms, by }) {
  const since = since_ms === null ? "" : ` since ${clock(since_ms)} UTC`;
  const until = until_ms === null ? "" : `, lapses at ${clock(until_ms)} if it is not renewed`;
  const who = reason.includes(` by ${by}: `) ? "" : `, by ${printable(by)}`; // a command's reason names them
  return `Kill switch: ${GLYPHS[state]} ${state}${since}${who}: ${printable(reason)}${until}`;
}

function showSwitches({ switches, armed }) {
  setText($("switches-note"), switches.length ? `${armed} more armed` : `all ${armed} armed`);
  $("switches").hidden = !switches.length;
  $("switches").querySelector("tbody").replaceChildren(...switches.map((its) => h("tr", {},
    h("th", { scope: "row" }, its.symbol === "*" ? "whole venue" : foreign(its.symbol)),
    h("td", { class: its.state === "caution" ? "warning" : "critical" }, `${GLYPHS[its.state]} ${its.state}`),
    h("td", {}, its.since_ms === null ? "–" : clock(its.since_ms)),
    h("td", {}, printable(its.by)),
    h("td", {}, printable(its.reason)))));
}

const named = ({ symbol, side }) => `${printable(symbol)} ${side}s`;

function showContagion(its) {
  setText($("contagion-note"), its.note || told(its));
  const graph = $("contagion-graph");
  graph.hidden = !its.edges.length;
  graph.replaceChildren(...(its.edges.length ? [drawn(its), legend()] : []));
  $("contagion-tables").replaceChildren(...(its.nodes.length ? [edges(its), nodes(its)] : []));
}

function told({ incident, radius, probability, elsewhere_ratio, doubling_seconds, reach_ratio }) {
  const [low, middle, high] = [radius.p10, radius.p50, radius.p90].map((value) => (value === null ? "∞" : Number(value.toPrecision(2))));
  const doubling = doubling_seconds === null ? "" : `; doubling in ${Math.max(1, doubling_seconds).toFixed(0)} s`;
  const open = incident ? `Open incident: ${printable(incident)}. ` : "";
  return `${open}Over moves of ${percent(reach_ratio, 2)} each unit that is liquidated forces ${middle} (${low} to ${high}) more in the long run, at least 1 in ${percent(probability)} of draws; ${percent(elsewhere_ratio)} of it in other symbols than the first${doubling}.`;
}

// Nodes on an ellipse, so that no two names are in one place; longs are discs and shorts squares.
function drawn({ nodes: all, edges: ways }) {
  const most = Math.max(1e-9, ...all.map(({ notional }) => notional));
  const places = all.map(({ notional }, i) => {
    const angle = (2 * Math.PI * i) / all.length - Math.PI / 2;
    return {
      x: WIDTH / 2 + ROUND_X * Math.cos(angle),
      y: HEIGHT / 2 + ROUND_Y * Math.sin(angle),
      radius: SMALLEST + (LARGEST - SMALLEST) * Math.sqrt(notional / most),
    };
  });
  const graph = svg("svg", { viewBox: `0 -20 ${WIDTH} ${HEIGHT + 20}`, role: "img", "aria-label": "graph of how liquidations would spread; the tables beside it have its data" });
  const largest = Math.max(1e-9, ...ways.map(({ gain }) => gain));
  for (const way of [...ways].sort((a, b) => a.on_path - b.on_path)) graph.append(...arrow(way, places, largest));
  all.forEach((node, i) => graph.append(...mark(node, places[i])));
  return graph;
}

function arrow({ source, target, gain, on_path }, places, largest) {
  const width = 1 + 4 * (gain / largest);
  const kind = on_path ? "way path" : "way";
  const [a, b] = [places[source], places[target]];
  if (source === target) {
    const r = 11 + a.radius / 2;
    return [svg("circle", { class: kind, cx: a.x, cy: a.y - a.radius - r + 4, r, "stroke-width": width })];
  }
  // Bent, so that the two directions between two nodes are apart.
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = Math.hypot(dx, dy);
  const [cx, cy] = [(a.x + b.x) / 2 - 0.16 * dy, (a.y + b.y) / 2 + 0.16 * dx];
  const back = Math.hypot(b.x - cx, b.y - cy) || length;
  const [ux, uy] = [(b.x - cx) / back, (b.y - cy) / back];
  const tip = [b.x - ux * (b.radius + 3), b.y - uy * (b.radius + 3)];
  const size = 6 + 1.5 * width;
  const base = [tip[0] - ux * size, tip[1] - uy * size];
  const [nx, ny] = [-uy * size * 0.45, ux * size * 0.45];
  return [
    svg("path", { class: kind, d: `M ${a.x} ${a.y} Q ${cx} ${cy} ${base[0]} ${base[1]}`, "stroke-width": width }),
    svg("polygon", { class: kind, points: `${tip} ${base[0] + nx},${base[1] + ny} ${base[0] - nx},${base[1] - ny}` }),
  ];
}

function mark({ symbol, side, step }, { x, y, radius }) {
  const kind = `${side}${step === null ? "" : " path"}`;
  const shape = side === "long"
    ? svg("circle", { class: kind, cx: x, cy: y, r: radius })
    : svg("rect", { class: kind, x: x - radius, y: y - radius, width: 2 * radius, height: 2 * radius });
  const left = x < WIDTH / 2 - 1;
  const text = svg("text", { x: left ? x - radius - 6 : x + radius + 6, y: y + 5, "text-anchor": left ? "end" : "start" });
  const name = named({ symbol, side });
  text.textContent = `${step === null ? "" : `${step + 1}. `}${name.length > 22 ? `${name.slice(0, 21)}…` : name}`;
  return [shape, text];
}

function legend() {
  return h("p", { class: "muted" }, "Disc: longs, square: shorts; its area grows with what a move of 1 % liquidates. Arrow: what a unit that is liquidated there forces here; the thicker, the more. Numbered, and in white or black: the way from the first.");
}

function edges({ nodes: all, edges: ways }) {
  return h("table", {},
    h("caption", {}, "What a unit that is liquidated forces"),
    h("thead", {}, h("tr", {}, ...["from", "to"].map((head) => h("th", { scope: "col" }, head)), h("th", { scope: "col", class: "number" }, "K"), h("th", { scope: "col" }, "by"), h("th", { scope: "col", class: "number" }, "on the way after"))),
    h("tbody", {}, ...ways.map(({ source, target, gain, channel, on_path, seconds }) => h("tr", { class: on_path ? "path" : null },
      h("th", { scope: "row" }, named(all[source])), h("td", {}, named(all[target])),
      h("td", { class: "number" }, gain.toPrecision(2)), h("td", {}, channel),
      h("td", { class: "number" }, on_path ? `${seconds.toFixed(0)} s` : "")))));
}

function nodes({ nodes: all }) {
  return h("table", {},
    h("caption", {}, "Money at risk: what a move of 1 % against the side liquidates"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "side"), h("th", { scope: "col", class: "number" }, "notional"), h("th", { scope: "col", class: "number" }, "on the way"))),
    h("tbody", {}, ...all.map((node) => h("tr", {},
      h("th", { scope: "row" }, named(node)), h("td", { class: "number" }, amount(node.notional)),
      h("td", { class: "number" }, node.step === null ? "" : node.step === 0 ? "first" : String(node.step + 1))))));
}
