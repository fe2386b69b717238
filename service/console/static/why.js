// A symbol's open incidents, each with its own evidence.

import { $, causes, glyph, runbookLink } from "./elements.js";
import { clock, h, label, printable } from "./format.js";
import { severityOf } from "./incidents.js";
import { quiet, since } from "./verdict.js";

// ``row`` is the symbol's row in the table, if it has one; it has the current state of its incident.
export function showWhy(incidents, row, overview) {
  const openOf = (kind) => incidents.filter((incident) => incident.ends_ms === null && incident.kind === kind);
  const open = [...openOf("alarm"), ...openOf("feed")];
  const why = $("why");
  why.hidden = !open.length;
  why.replaceChildren(...open.map((incident) => {
    const now = row?.incident?.alert_id === incident.alert_id ? row.incident : null;
    return box(incident, now, overview, now ? row.killswitch : "armed");
  }));
}

function box(incident, now, overview, killswitch) {
  const critical = incident.critical_ms === null ? "" : `; critical since ${clock(incident.critical_ms)}`;
  const switched = killswitch === "armed" ? "" : `; the kill switch says ${killswitch}`;
  return h("div", { class: `box ${incident.severity}` },
    h("h3", {}, h("span", { class: incident.severity }, `${glyph(incident.severity)} ${severityOf(incident)} `), printable(incident.summary)),
    h("p", { class: "muted" }, `${since(incident.starts_ms, overview)}${critical}; told at ${clock(incident.told_ms)}${switched}`),
    ...(now ? currentAlarms(now) : []),
    h("p", {}, h("strong", {}, "Evidence"), h("span", { class: "muted" }, " with each feature's share")),
    causes(incident.causes),
    runbookLink(incident.runbook));
}

function currentAlarms(incident) {
  const texts = [...incident.effects.map((text) => ["market", text]), ...incident.now];
  const items = texts.map(([detector, text]) => h(
    "li", {}, h("span", { class: "detector" }, label(detector)), h("span", {}, printable(text)),
  ));
  return [
    ...(items.length ? [h("p", {}, h("strong", {}, "Now")), h("ol", { class: "causes" }, ...items)] : []),
    ...(incident.now.length ? [] : [h("p", {}, quiet(incident))]),
  ];
}
