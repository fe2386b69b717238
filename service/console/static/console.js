// The console: receives the state from the service every second and shows it.

import { $, setText } from "./elements.js";
import { connect, pulse } from "./feed.js";
import { foreign } from "./format.js";
import { showIncidents } from "./incidents.js";
import { linked, linkTo } from "./link.js";
import { showSymbol } from "./symbol.js";
import { showSymbols } from "./symbols.js";
import { showVenue } from "./venue.js";
import { showService, showVerdict } from "./verdict.js";

const BARS = 900;

let overview = null;
let detail = null; // of the chosen symbol, with all its bars
let chosen = null;
let userChose = false; // if not, the page follows the most stressed symbol

const rowOf = (symbol) => overview.symbols.find((row) => row.symbol === symbol);
const alarmed = ({ state }) => state === "critical" || state === "warning";

function listen() {
  detail = null;
  connect(chosen, {
    overview: (message) => {
      overview = message;
      follow();
      showVerdict(overview);
      showService(overview);
      showSymbols(overview, chosen, pick);
      showIncidents(overview);
      showVenue(overview.venue);
    },
    detail: (message) => {
      merge(message);
      showDetail();
    },
  });
}

// Append the new bars of a message to those of earlier messages.
function merge(message) {
  if (message.symbol !== chosen) return;
  if (!message.whole && detail) {
    const ts_ms = detail.bars.ts_ms.concat(message.bars.ts_ms).slice(-BARS);
    const columns = {};
    for (const [name, values] of Object.entries(message.bars.columns)) {
      columns[name] = (detail.bars.columns[name] || []).concat(values).slice(-BARS);
    }
    message.bars = { ts_ms, columns };
  }
  detail = message;
}

function showDetail() {
  if (detail && overview) showSymbol(detail, rowOf(chosen), overview);
}

// Show the most important symbol until the user chooses one.
function follow() {
  if (userChose || !overview.symbols.length) return;
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
  userChose = true;
  linkTo(symbol);
  setText($("link"), "");
  choose(symbol);
}

// Show the symbol in the page's address. For an invalid symbol, show a message and follow the market.
function showLinked() {
  const { symbol, malformed } = linked();
  userChose = symbol !== null;
  setText($("link"), malformed ? "The address of this page names no valid symbol. The page shows the most stressed symbol." : "");
  if (symbol !== null) choose(symbol);
  else if (overview) follow();
}

$("look").addEventListener("change", (event) => {
  const symbol = event.target.value.trim();
  if (symbol) pick(symbol);
  event.target.value = "";
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part of the address after "#" is a symbol
  $("detail").focus();
});
window.addEventListener("hashchange", showLinked);
$("plotly").addEventListener("load", showDetail);
document.addEventListener("visibilitychange", showDetail);
showLinked();
if (chosen === null) listen();
setInterval(pulse, 500);
