// Why a symbol's incidents are open: each with its own evidence, and with nobody else's.

import { $, causes, glyph, whatToDo } from "./elements.js";
import { clock, h, label, printable } from "./format.js";
import { severityOf } from "./incidents.js";
import { since, standing } from "./verdict.js";

// ``row`` is the symbol's in the table, where it is there: it knows how its alarm stands now.
export function showWhy(incidents, row, overview) {
  const of = (kind) => incidents.filter((its) => its.ends_ms === null && its.kind === kind);
  const open = [...of("alarm"), ...of("feed")];
  const why = $("why");
  why.hidden = !open.length;
  why.replaceChildren(...open.map((incident) => {
    const now = row?.incident?.alert_id === incident.alert_id ? row.incident : null;
    return box(incident, now, overview);
  }));
}

function box(incident, now, overview) {
  const critical = incident.critical_ms === null ? "" : `; critical since ${clock(incident.critical_ms)}`;
  const tripped = now?.killswitch_tripped ? "; the kill switch is tripped" : "";
  return h("div", { class: `box ${incident.severity}` },
    h("h3", {}, h("span", { class: incident.severity }, `${glyph(incident.severity)} ${severityOf(incident)} `), printable(incident.summary)),
    h("p", { class: "muted" }, since(incident.starts_ms, overview) + critical + tripped),
    ...(now ? present(now) : []),
    h("p", {}, h("strong", {}, "Raised because"), h("span", { class: "muted" }, " with its share of the score")),
    causes(incident.causes),
    whatToDo(incident.runbook));
}

function present(incident) {
  if (!incident.now.length) return [h("p", {}, standing(incident))];
  const items = incident.now.map(([detector, said]) => h(
    "li", {}, h("span", { class: "detector" }, label(detector)), h("span", {}, printable(said)),
  ));
  return [h("p", {}, h("strong", {}, "Now")), h("ol", { class: "causes" }, ...items)];
}
