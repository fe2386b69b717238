// What if: sliders of a scenario, which the service computes on its own state, and the result.

import { $, setText } from "./elements.js";
import { foreign, h, printable } from "./format.js";

const EVERY = "*";
const MOST = 20; // of a shock, in per cent
const REST_MS = 300; // a slider that moves on asks once
const DEPTHS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 2, 3, 4];
const MAINTENANCES = [0.5, 0.75, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3];
const STEPS = [null, 0.05, 0.1, 0.2, 0.3, 0.5, 1];
const WINDOWS = [null, 1, 5, 10, 30, 60, 120, 300];

const rows = new Map(); // by symbol: the values of its sliders
const alone = { step_ratio: null, mark_window_seconds: null };
let shown = null; // the symbol of the page
let timer = 0;
let asked = null; // what stops the request that is under way

const signed = (value) => `${value > 0 ? "+" : ""}${value.toFixed(1)} %`;
const times = (value) => `× ${value}`;
const untouched = ({ shock, depth, maintenance, halted }) => !shock && depth === 1 && maintenance === 1 && !halted;

export function showWhatIf(symbol, { state, sides }) {
  const available = state === "known" || state === "unknown" || state === "unpublished";
  $("what-if").hidden = !available;
  for (const side of ["long", "short"]) offerRun(side, sides.find((its) => its.side === side)?.cascade);
  if (!available || symbol === shown) return;
  shown = symbol;
  for (const [name, row] of rows) {
    if (name !== EVERY && untouched(row)) rows.delete(name);
  }
  add(EVERY);
  add(symbol);
  drawControls();
}

// A button that asks for the run of liquidations just beyond the distance of a cascade.
function offerRun(side, cascade) {
  const bps = cascade?.distance_bps.p50 ?? null;
  const shock = bps === null ? null : (side === "long" ? -1 : 1) * Math.ceil(bps / 10 + 1e-9) / 10;
  const button = $(`what-if-${side}`);
  button.hidden = shock === null || Math.abs(shock) > MOST;
  button.dataset.shock = shock ?? "";
  setText(button, `Cascade of ${side}s: ${signed(shock ?? 0)}`);
}

function askRun({ target }) {
  forget();
  rows.get(shown).shock = Number(target.dataset.shock);
  drawControls();
  ask();
}

function forget() {
  rows.clear();
  alone.step_ratio = null;
  alone.mark_window_seconds = null;
  add(EVERY);
  add(shown);
}

function add(symbol) {
  if (!rows.has(symbol)) rows.set(symbol, { shock: 0, depth: 1, maintenance: 1, halted: false });
}

function drawControls() {
  $("what-if-rules").replaceChildren(...[...rows].map(([symbol, row]) => ofSymbol(symbol, row)), ofVenue());
}

function ofSymbol(symbol, row) {
  const of = symbol === EVERY ? "every other symbol" : printable(symbol);
  return h("fieldset", { "data-symbol": printable(symbol) },
    h("legend", {}, symbol === EVERY ? of : foreign(symbol)),
    slider("price moves by", of, { min: -MOST, max: MOST, step: 0.1, value: row.shock },
      signed, (value) => { row.shock = value; }),
    steps("depth", of, DEPTHS, row.depth, times, (value) => { row.depth = value; }),
    steps("maintenance", of, MAINTENANCES, row.maintenance, times, (value) => { row.maintenance = value; }),
    symbol === EVERY ? null : halt(of, row));
}

function ofVenue() {
  const venue = "the venue";
  return h("fieldset", { "data-symbol": "" },
    h("legend", {}, venue),
    steps("steps of", venue, STEPS, alone.step_ratio, (value) => (value === null ? "the venue's rule" : `${100 * value} % of a position`), (value) => { alone.step_ratio = value; }),
    steps("mark window", venue, WINDOWS, alone.mark_window_seconds, (value) => (value === null ? "as it is" : `${value} s`), (value) => { alone.mark_window_seconds = value; }));
}

// A slider over the numbers of a list.
function steps(name, of, values, value, text, keep) {
  const at = (index) => values[index];
  return slider(name, of, { min: 0, max: values.length - 1, step: 1, value: values.indexOf(value) },
    (index) => text(at(index)), (index) => keep(at(index)));
}

function slider(name, of, range, text, keep) {
  const input = h("input", { type: "range", "aria-label": `${name}, ${of}`, ...range });
  const output = h("output", {});
  const tell = () => {
    const said = text(Number(input.value));
    setText(output, said);
    input.setAttribute("aria-valuetext", said);
  };
  input.addEventListener("input", () => {
    keep(Number(input.value));
    tell();
    askSoon();
  });
  tell();
  return h("label", {}, h("span", {}, name, " ", output), input);
}

function halt(of, row) {
  const input = h("input", { type: "checkbox", "aria-label": `halted, ${of}`, checked: row.halted });
  input.addEventListener("change", () => {
    row.halted = input.checked;
    askSoon();
  });
  return h("label", { class: "halt" }, input, " halted");
}

function scenario() {
  const its = { shocks: {}, depth: {}, maintenance: {}, halted: [], ...alone };
  for (const [symbol, { shock, depth, maintenance, halted }] of rows) {
    if (halted) its.halted.push(symbol);
    else if (shock) its.shocks[symbol] = shock / 100; // a halted symbol's price stands
    if (depth !== 1) its.depth[symbol] = depth;
    if (maintenance !== 1) its.maintenance[symbol] = maintenance;
  }
  return its;
}

function askSoon() {
  clearTimeout(timer);
  timer = setTimeout(ask, REST_MS);
}

async function ask() {
  clearTimeout(timer);
  asked?.abort();
  const stop = new AbortController();
  asked = stop;
  setText($("what-if-state"), "computing");
  try {
    const response = await fetch("api/what-if", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(scenario()),
      signal: stop.signal,
    });
    const text = await response.text();
    if (asked !== stop) return;
    if (response.ok) showAnswer(JSON.parse(text));
    else setText($("what-if-state"), `not computed: ${printable(text.trim())}`);
  } catch (error) {
    if (error.name !== "AbortError") setText($("what-if-state"), "not computed: the service does not answer");
  }
}

function showAnswer({ described, heads, numbers, rows: lines, notes }) {
  setText($("what-if-state"), printable(described));
  const kind = (index) => (numbers[index] === "x" ? "number" : null);
  $("what-if-result").replaceChildren(
    h("table", {},
      h("thead", {}, h("tr", {}, ...heads.map((head, i) => h("th", { scope: "col", class: kind(i) }, head)))),
      h("tbody", {}, ...lines.map((line) => h("tr", {}, ...line.map((cell, i) => (
        i === 0 ? h("th", { scope: "row" }, foreign(cell)) : h("td", { class: kind(i) }, printable(cell)))))))),
    h("ul", { class: "muted" }, ...notes.map((note) => h("li", {}, printable(note)))));
}

$("what-if-add").addEventListener("change", (event) => {
  const symbol = event.target.value.trim();
  event.target.value = "";
  if (!symbol || rows.has(symbol)) return;
  add(symbol);
  drawControls();
});
$("what-if-ask").addEventListener("click", ask);
$("what-if-reset").addEventListener("click", () => {
  forget();
  drawControls();
  ask();
});
$("what-if-long").addEventListener("click", askRun);
$("what-if-short").addEventListener("click", askRun);
