// The console: takes what the service sends every second, and shows it.

import { $, setText } from "./elements.js";
import { connect, pulse } from "./feed.js";
import { foreign } from "./format.js";
import { showIncidents } from "./incidents.js";
import { linked, linkTo } from "./link.js";
import { showSymbol } from "./symbol.js";
import { showSymbols } from "./symbols.js";
import { showService, showVerdict } from "./verdict.js";

const BARS = 900;

let overview = null;
let detail = null; // of the chosen symbol, with all its bars
let chosen = null;
let byHand = false; // else the most stressed symbol is followed

const rowOf = (symbol) => overview.symbols.find((row) => row.symbol === symbol);
const alarmed = ({ state }) => state === "critical" || state === "warning";

function listen() {
  detail = null;
  connect(chosen, {
    overview: (sent) => {
      overview = sent;
      follow();
      showVerdict(overview);
      showService(overview);
      showSymbols(overview, chosen, pick);
      showIncidents(overview.incidents);
    },
    detail: (sent) => {
      take(sent);
      showDetail();
    },
  });
}

function take(sent) {
  if (sent.symbol !== chosen) return;
  if (!sent.whole && detail) {
    const ts_ms = detail.bars.ts_ms.concat(sent.bars.ts_ms).slice(-BARS);
    const columns = {};
    for (const [name, values] of Object.entries(sent.bars.columns)) {
      columns[name] = (detail.bars.columns[name] || []).concat(values).slice(-BARS);
    }
    sent.bars = { ts_ms, columns };
  }
  detail = sent;
}

function showDetail() {
  if (detail && overview) showSymbol(detail, rowOf(chosen), overview);
}

// Show the symbol that matters most, until somebody chooses.
function follow() {
  if (byHand || !overview.symbols.length) return;
  const row = rowOf(chosen);
  if (!row || (alarmed(overview.market) && !alarmed(row))) {
    choose(overview.market.symbol ?? overview.symbols[0].symbol);
  }
}

function choose(symbol) {
  if (symbol === chosen) return;
  chosen = symbol;
  listen();
  if (overview) showSymbols(overview, chosen, pick);
  $("detail-title").replaceChildren(foreign(symbol));
}

function pick(symbol) {
  byHand = true;
  linkTo(symbol);
  setText($("link"), "");
  choose(symbol);
}

// What the address names is shown; what it cannot name is said, and the market followed.
function goWhereLinked() {
  const { symbol, malformed } = linked();
  byHand = symbol !== null;
  setText($("link"), malformed ? "The address of this page names no symbol that there can be: the most stressed is shown." : "");
  if (symbol !== null) choose(symbol);
  else if (overview) follow();
}

$("look").addEventListener("change", (event) => {
  const symbol = event.target.value.trim();
  if (symbol) pick(symbol);
  event.target.value = "";
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // what stands after the "#" is a symbol
  $("detail").focus();
});
window.addEventListener("hashchange", goWhereLinked);
$("plotly").addEventListener("load", showDetail);
document.addEventListener("visibilitychange", showDetail);
goWhereLinked();
if (chosen === null) listen();
setInterval(pulse, 500);
