// A symbol's book: depth and best prices.

import { $, drawing, svg } from "./elements.js";
import { amount, h, price } from "./format.js";

export function showBook(book) {
  $("book").replaceChildren(
    h("p", { class: "muted" }, book.mid === null ? "One side of the book is empty."
      : `mid ${price(book.mid)}, spread ${book.spread_bps.toFixed(1)} bps, ${amount(book.orders)} orders; usual within 5 typical spreads, both sides: ${amount(book.usual_depth)}`),
    bands(book),
    ladder(book),
  );
}

function table(heads, rows) {
  return h("table", { class: "book" },
    h("thead", {}, h("tr", {}, ...heads.map(([text, kind]) => h("th", { scope: "col", class: kind }, text)))),
    h("tbody", {}, ...rows));
}

function bands(book) {
  const largest = Math.max(1e-9, ...book.bands.flatMap((band) => [band.bid, band.ask]));
  const side = (value, kind) => {
    const bar = drawing(100, 10);
    const width = (100 * value) / largest;
    bar.append(svg("rect", { class: kind, x: kind === "bid" ? 100 - width : 0, width, height: 10 }));
    return bar;
  };
  return table([["bids", "number"], [], ["within"], [], ["asks"]], book.bands.map((band) => h("tr", {},
    h("td", { class: "number" }, amount(band.bid)), h("td", {}, side(band.bid, "bid")),
    h("td", {}, `${band.spreads} spreads`),
    h("td", {}, side(band.ask, "ask")), h("td", {}, amount(band.ask)))));
}

function ladder({ bids, asks }) {
  const heads = [["quantity", "number"], ["bid", "number"], ["ask"], ["quantity"]];
  return table(heads, Array.from({ length: Math.max(bids.length, asks.length) }, (_, i) => {
    const [bid, ask] = [bids[i], asks[i]];
    return h("tr", {},
      h("td", { class: "number" }, bid ? amount(bid.quantity) : ""), h("td", { class: "number bid" }, bid ? price(bid.price) : ""),
      h("td", { class: "ask" }, ask ? price(ask.price) : ""), h("td", {}, ask ? amount(ask.quantity) : ""));
  }));
}
