// The connection: what the service sends every second, and what to say where it does not.

import { $, setText } from "./elements.js";
import { duration, printable } from "./format.js";

const LOST_MS = 4000; // a message is due every second
const RETRY_MS = 3000;

let source = null;
let lastMessageAt = performance.now();
let heard = false;
let refusal = "";

// Takes what is sent of everything, and of a symbol (null for none), from now on.
export function connect(symbol, { overview, detail }) {
  if (source) source.close();
  const query = symbol === null ? "" : `?symbol=${encodeURIComponent(symbol)}`;
  const its = new EventSource(`events${query}`);
  source = its;
  its.addEventListener("overview", (event) => {
    lastMessageAt = performance.now();
    heard = true;
    refusal = "";
    overview(JSON.parse(event.data));
    pulse();
  });
  its.addEventListener("symbol", (event) => detail(JSON.parse(event.data)));
  its.addEventListener("error", () => {
    if (its.readyState === EventSource.CLOSED && its === source) {
      explainRefusal(query);
      setTimeout(() => { if (its === source) connect(symbol, { overview, detail }); }, RETRY_MS);
    }
    pulse();
  });
}

// An event source does not tell why it was refused.
async function explainRefusal(query) {
  const stop = new AbortController();
  try {
    const response = await fetch(`events${query}`, { signal: stop.signal });
    refusal = response.ok ? "" : (await response.text()).trim();
  } catch {
    refusal = "";
  }
  stop.abort();
  pulse();
}

// Says whether the service is heard, by the clock.
export function pulse() {
  const silent = performance.now() - lastMessageAt;
  const lost = silent > LOST_MS;
  document.body.classList.toggle("lost", lost);
  const connection = $("connection");
  connection.dataset.level = lost ? "problem" : heard ? "ok" : "notice";
  setText(connection.querySelector(".words"), lost ? "connection lost" : heard ? "live" : "connecting");
  const banner = $("lost");
  banner.hidden = !lost;
  if (lost) {
    const since = heard ? `last update ${duration(silent)} ago; what is below is as it was then` : "nothing was heard yet";
    const why = refusal ? ` The service says: ${printable(refusal)}.` : "";
    setText(banner, `Connection lost, ${since}. Trying again.${why}`);
    document.title = "✕ connection lost – Foreshock";
  }
}
