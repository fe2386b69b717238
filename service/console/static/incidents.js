// The list of incidents, with their evidence to unfold.

import { $, causes, glyph, whatToDo, word } from "./elements.js";
import { clock, duration, foreign, h, label, printable } from "./format.js";

const unfolded = new Set(); // the incidents whose evidence somebody looks at
let shown = "";

export function showIncidents(incidents) {
  const now = JSON.stringify(incidents);
  if (now === shown) return;
  shown = now;
  const list = $("incidents");
  const focused = list.contains(document.activeElement) ? document.activeElement.closest("li").dataset.id : null;
  const items = incidents.map(item);
  list.replaceChildren(...(items.length ? items : [h("li", { class: "muted" }, "none since this process started")]));
  if (focused) list.querySelector(`[data-id="${CSS.escape(focused)}"] summary`)?.focus();
}

export function severityOf({ kind, severity }) {
  return kind === "feed" ? `feed, ${word(severity)}` : word(severity);
}

function item(incident) {
  const open = incident.ends_ms === null;
  const times = open
    ? `open since ${clock(incident.starts_ms)}`
    : `${clock(incident.starts_ms)} to ${clock(incident.ends_ms)}, ${duration(incident.ends_ms - incident.starts_ms)}`;
  const grave = open && incident.critical_ms !== null ? `, critical since ${clock(incident.critical_ms)}` : "";
  const its = severityOf(incident);
  return h(
    "li", { class: open ? `open ${incident.severity}` : "resolved", "data-id": incident.alert_id },
    h("p", { class: "head" },
      h("span", { class: open ? incident.severity : "resolved" }, open ? `${glyph(incident.severity)} ${its} ` : `✓ ${its}, resolved `),
      foreign(incident.symbol), ` · ${label(incident.detector)}`),
    h("p", {}, printable(incident.summary)),
    h("p", { class: "times" }, times + grave),
    evidence(incident),
  );
}

function evidence(incident) {
  const its = h("details", {}, h("summary", {}, "evidence"), causes(incident.causes),
    h("p", { class: "muted" }, `score ${incident.score.toFixed(1)}, p ${incident.p_value.toExponential(1)}`),
    whatToDo(incident.runbook),
    incident.ended === null ? null : h("p", { class: "muted" }, printable(incident.ended)));
  its.open = unfolded.has(incident.alert_id);
  its.addEventListener("toggle", () => {
    if (its.open) unfolded.add(incident.alert_id); else unfolded.delete(incident.alert_id);
  });
  return its;
}
