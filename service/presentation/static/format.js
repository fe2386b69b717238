// Formats values for people, and creates elements whose content is always text.

// Characters that are invisible or change the text around them: shown as escapes, as in the logs.
const HIDDEN = /(?! )[\p{C}\p{Z}]/gu;
const BREAKS = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escaped(char) {
  const hex = char.codePointAt(0).toString(16);
  if (hex.length <= 2) return BREAKS[char] ?? `\\x${hex.padStart(2, "0")}`;
  return hex.length <= 4 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}

export function printable(text) {
  return String(text).replace(HIDDEN, escaped);
}

// Create an element; children are nodes or text.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Text from the feed, isolated from the direction of the surrounding text.
export function foreign(text) {
  return h("bdi", {}, printable(text));
}

export function price(value) {
  if (value === null || value === undefined) return "–";
  const magnitude = Math.floor(Math.log10(Math.abs(value) || 1));
  const decimals = Math.min(12, Math.max(0, 5 - magnitude));
  return value.toLocaleString("en-GB", {
    minimumFractionDigits: Math.min(decimals, 2),
    maximumFractionDigits: decimals,
  });
}

export function amount(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1e12) return value.toExponential(2);
  if (size >= 1e9) return `${(value / 1e9).toFixed(2)} bn`;
  if (size >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (size >= 1e3) return `${(value / 1e3).toFixed(1)} k`;
  return size >= 10 || size === 0 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

export function percent(ratio, digits = 0, signed = false) {
  if (ratio === null || ratio === undefined) return "–";
  const sign = signed && ratio > 0 ? "+" : "";
  return `${sign}${(100 * ratio).toFixed(digits)} %`;
}

export function clock(ms) {
  return new Date(ms).toISOString().slice(11, 19);
}

export function date(ms) {
  return new Date(ms).toISOString().slice(0, 10);
}

export function duration(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export const label = (name) => name.replaceAll("_", " ");
