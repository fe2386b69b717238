// Elements that several parts of the page use.

import { h, label, percent, printable } from "./format.js";

const GLYPHS = {
  critical: "▲▲", warning: "▲", elevated: "△", calm: "●", warming_up: "◔", too_sparse: "◌", quiet: "○",
  unknown: "?", info: "◆",
};
const LABELS = {
  critical: "critical", warning: "warning", elevated: "raised", calm: "calm",
  warming_up: "warming up", too_sparse: "too few events", quiet: "no events", unknown: "cannot tell", info: "lasting change",
};
const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

export const glyph = (state) => GLYPHS[state];
export const stateLabel = (state) => LABELS[state];
export const marked = (state) => `${GLYPHS[state]} ${LABELS[state]}`;

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// An SVG drawing of this many units, scaled to the available room.
export function drawing(width, height) {
  return svg("svg", {
    viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true",
  });
}

export function meter(ratio) {
  const drawn = drawing(100, 12);
  drawn.append(
    svg("rect", { class: "back", width: 100, height: 12 }),
    svg("rect", { class: "fill", width: 100 * Math.min(1, Math.max(0, ratio)), height: 12 }),
  );
  return drawn;
}

const SHOWN_SHARE = 0.005; // smaller shares would round to 0 % and are left out

// The features behind an incident, each with its share of the evidence.
export function causes(items) {
  const shown = items.filter(({ share }, index) => index === 0 || share >= SHOWN_SHARE);
  return h("ol", { class: "causes" }, ...shown.map((cause) => h(
    "li", {},
    h("span", { class: "share" }, meter(cause.share), percent(cause.share)),
    h("span", {}, printable(cause.text), " ", h("span", { class: "detector" }, label(cause.detector))),
  )));
}

export function runbookLink(runbook) {
  const isUrl = /^https?:\/\//.test(runbook);
  const address = isUrl ? h("a", { href: runbook, rel: "noreferrer" }, printable(runbook)) : printable(runbook);
  return h("p", { class: "muted" }, "What to do: ", address);
}
