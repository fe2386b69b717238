// Judging an incident: was its alarm right? The verdict goes to the service, which publishes it.

import { h } from "./format.js";

const MAX_NOTE = 500; // characters, as in the feedback topic

const notes = new Map(); // text that is not sent yet, by alert id
const told = new Map(); // what became of the last request, by alert id

export function judging({ alert_id: id }, verdict) {
  const note = h("input", { maxlength: String(MAX_NOTE), placeholder: "note (optional)", "aria-label": "note", autocomplete: "off" });
  note.value = notes.get(id) ?? "";
  note.addEventListener("input", () => notes.set(id, note.value));
  const state = h("span", { role: "status", class: "muted" }, told.get(id) ?? (verdict ? `judged ${verdict}` : "not judged: counts as false"));
  const button = (word, text) => {
    const made = h("button", { type: "button", "data-verdict": word, "aria-pressed": String(verdict === word) }, text);
    made.addEventListener("click", () => send(id, word, note, state));
    return made;
  };
  return h("div", { class: "judge" },
    h("span", {}, "Was the alarm right?"), button("true", "True"), button("false", "False"), note, state);
}

async function send(id, verdict, note, state) {
  const tell = (text) => { told.set(id, text); state.textContent = text; };
  tell("sending");
  try {
    const response = await fetch("feedback", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ alert_id: id, verdict, note: note.value }),
    });
    const answer = (await response.text()).trim();
    tell(response.ok ? answer : `not judged: ${answer}`);
    if (response.ok) {
      notes.delete(id);
      note.value = "";
      told.delete(id); // the next message from the service has the verdict
    }
  } catch {
    tell("not judged: the service does not answer");
  }
}
