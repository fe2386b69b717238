// The verdict on the market and on the service itself.

import { $, glyph, marked, setText, stateLabel } from "./elements.js";
import { amount, clock, date, duration, foreign, h, printable } from "./format.js";

// The current state, every second; an incident's summary is from the time when it was last told.
export function currentState(incident) {
  if (!incident) return "";
  const texts = [...incident.effects, ...incident.now.map(([, text]) => text)];
  const now = texts.length ? `Now: ${texts.map(printable).join("; ")}.` : "";
  return [now, incident.now.length ? "" : quiet(incident)].filter(Boolean).join(" ");
}

export function quiet({ quiet_seconds, resolves_seconds }) {
  return `No alarm for ${duration(1000 * quiet_seconds)}; the incident ends after ${duration(1000 * resolves_seconds)} without an alarm.`;
}

export function since(ms, { market_ms }) {
  return `since ${clock(ms)} UTC, for ${duration(market_ms - ms)}`;
}

export function showVerdict(overview) {
  const { market } = overview;
  const verdict = $("verdict");
  verdict.dataset.state = market.state;
  setText(verdict.querySelector(".glyph"), glyph(market.state));
  setText(verdict.querySelector(".label"), stateLabel(market.state));
  showSentence(verdict.querySelector(".sentence"), market);
  const now = verdict.querySelector(".now");
  const row = overview.symbols.find(({ symbol }) => symbol === market.symbol);
  setText(now, market.since_ms === null ? "" : currentState(row?.incident));
  const open = overview.incidents.filter((incident) => incident.ends_ms === null && incident.kind === "alarm").length;
  const others = open > 1 ? `; ${open - 1} more ${open > 2 ? "incidents are" : "incident is"} open, see below` : "";
  const times = verdict.querySelector(".since");
  setText(times, market.since_ms === null ? "" : since(market.since_ms, overview) + others);
  if (overview.market_ms) {
    setText($("market-time"), `market time ${date(overview.market_ms)} ${clock(overview.market_ms)} UTC`);
  }
  document.title = `${marked(market.state)}${market.symbol ? ` ${printable(market.symbol)}` : ""} – Foreshock`;
}

function showSentence(sentence, market) {
  const shown = `${market.symbol ?? ""}|${market.sentence}`;
  if (sentence.dataset.shown === shown) return; // a screen reader must not repeat it
  sentence.dataset.shown = shown;
  const alarmed = market.state === "critical" || market.state === "warning";
  if (!alarmed) {
    sentence.replaceChildren(foreign(market.sentence));
    return;
  }
  const prefix = `${market.symbol}: `;
  const text = market.sentence.startsWith(prefix) ? market.sentence.slice(prefix.length) : market.sentence;
  sentence.replaceChildren(h("strong", {}, foreign(market.symbol)), " ", foreign(text));
}

const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

export function showService({ service, checks, watched, partitions, events_per_second, version, read }) {
  const box = $("service");
  box.dataset.level = service.level;
  const prefix = { ok: "is healthy: ", notice: "works, but: ", problem: "needs attention: " }[service.level];
  const text = service.level === "ok"
    ? `${counted(watched, "symbol")} watched in ${counted(partitions, "partition")}, ${amount(events_per_second)} events/s`
    : printable(service.text);
  setText(box.querySelector("summary .text"), prefix + text);
  $("checks").replaceChildren(...checks.map((check) => h(
    "li", { "data-level": check.level },
    h("span", { class: "glyph", "aria-hidden": "true" }),
    h("span", { class: "name" }, check.name),
    h("span", {}, printable(check.text)),
  )));
  setText($("version"), `version ${version}, ${amount(read)} records read since the start`);
}
