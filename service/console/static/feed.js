// The connection: receives messages from the service, and shows when they stop.

import { $, setText } from "./elements.js";
import { duration, printable } from "./format.js";

const LOST_MS = 4000; // a message is due every second
const RETRY_MS = 3000;

let source = null;
let lastMessageAt = performance.now();
let received = false;
let refusal = "";

// Connect, and pass on the overview and the detail of a symbol (null for none).
export function connect(symbol, { overview, detail }) {
  if (source) source.close();
  const query = symbol === null ? "" : `?symbol=${encodeURIComponent(symbol)}`;
  const opened = new EventSource(`events${query}`);
  source = opened;
  opened.addEventListener("overview", (event) => {
    lastMessageAt = performance.now();
    received = true;
    refusal = "";
    overview(JSON.parse(event.data));
    pulse();
  });
  opened.addEventListener("symbol", (event) => detail(JSON.parse(event.data)));
  opened.addEventListener("error", () => {
    if (opened.readyState === EventSource.CLOSED && opened === source) {
      explainRefusal(query);
      setTimeout(() => { if (opened === source) connect(symbol, { overview, detail }); }, RETRY_MS);
    }
    pulse();
  });
}

// Get the reason of a refusal; an event source does not provide it.
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

// Show whether messages arrive, by the clock.
export function pulse() {
  const silent = performance.now() - lastMessageAt;
  const lost = silent > LOST_MS;
  document.body.classList.toggle("lost", lost);
  const connection = $("connection");
  connection.dataset.level = lost ? "problem" : received ? "ok" : "notice";
  setText(connection.querySelector(".text"), lost ? "connection lost" : received ? "live" : "connecting");
  const banner = $("lost");
  banner.hidden = !lost;
  if (lost) {
    const since = received ? `last update ${duration(silent)} ago; all values below are of that time` : "no data received yet";
    const reason = refusal ? ` The service says: ${printable(refusal)}.` : "";
    setText(banner, `Connection lost, ${since}. Trying again.${reason}`);
    document.title = "✕ connection lost – Foreshock";
  }
}
