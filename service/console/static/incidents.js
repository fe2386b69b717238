// The list of incidents, each with evidence that can be unfolded.

import { $, causes, glyph, runbookLink, stateLabel } from "./elements.js";
import { judging } from "./feedback.js";
import { clock, duration, foreign, h, label, printable } from "./format.js";

const unfolded = new Set(); // incidents with unfolded evidence
let shown = "";

export function showIncidents({ incidents, judging: offered, verdicts }) {
  const current = JSON.stringify([incidents, offered, verdicts]);
  const list = $("incidents");
  // A note that somebody is writing must not be replaced under the cursor.
  if (current === shown || document.activeElement?.closest("#incidents .judge input")) return;
  shown = current;
  const active = list.contains(document.activeElement) ? document.activeElement : null;
  const focused = active?.closest("li").dataset.id;
  const control = active?.dataset.verdict ? `button[data-verdict="${active.dataset.verdict}"]` : "summary";
  const items = incidents.map((incident) => item(incident, offered ? judging(incident, verdicts[incident.alert_id]) : null));
  list.replaceChildren(...(items.length ? items : [h("li", { class: "muted" }, "none since this process started")]));
  if (focused) list.querySelector(`[data-id="${CSS.escape(focused)}"] ${control}`)?.focus();
}

export function severityOf({ kind, severity }) {
  return kind === "feed" ? `feed, ${stateLabel(severity)}` : stateLabel(severity);
}

function item(incident, judge) {
  const open = incident.ends_ms === null;
  const times = open
    ? `open since ${clock(incident.starts_ms)}`
    : `${clock(incident.starts_ms)} to ${clock(incident.ends_ms)}, ${duration(incident.ends_ms - incident.starts_ms)}`;
  const critical = open && incident.critical_ms !== null ? `, critical since ${clock(incident.critical_ms)}` : "";
  const severity = severityOf(incident);
  return h(
    "li", { class: open ? `open ${incident.severity}` : "resolved", "data-id": incident.alert_id },
    h("p", { class: "head" },
      h("span", { class: open ? incident.severity : "resolved" }, open ? `${glyph(incident.severity)} ${severity} ` : `✓ ${severity}, resolved `),
      foreign(incident.symbol), ` · ${label(incident.detector)}`),
    h("p", {}, printable(incident.summary)),
    h("p", { class: "times" }, times + critical),
    evidence(incident),
    judge,
  );
}

function before(told) {
  if (!told.length) return null;
  const items = told.map(({ at_ms, severity, text }) => h(
    "li", {}, h("span", { class: "detector" }, `${clock(at_ms)} ${stateLabel(severity)}`), h("span", {}, printable(text)),
  ));
  return h("div", {}, h("p", {}, h("strong", {}, "Told before")), h("ol", { class: "causes" }, ...items));
}

function evidence(incident) {
  const details = h("details", {}, h("summary", {}, "evidence"), causes(incident.causes),
    h("p", { class: "muted" }, `score ${incident.score.toFixed(1)}, p ${incident.p_value.toExponential(1)}`),
    runbookLink(incident.runbook),
    before(incident.before),
    incident.ended === null ? null : h("p", { class: "muted" }, printable(incident.ended)));
  details.open = unfolded.has(incident.alert_id);
  details.addEventListener("toggle", () => {
    if (details.open) unfolded.add(incident.alert_id); else unfolded.delete(incident.alert_id);
  });
  return details;
}
