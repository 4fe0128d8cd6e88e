// Undo, redo and the history of changes.

import { get, post } from "./api.js";
import { byId, el } from "./dom.js";
import { shortcut } from "./keys.js";
import { guarded, say } from "./notices.js";

/** The server's time: seconds since 1970, or text of ISO 8601. */
function clock(time) {
  const date = new Date(typeof time === "number" ? 1000 * time : time);
  return Number.isNaN(date.getTime()) ? String(time) : date.toLocaleString();
}

async function showHistory() {
  const { entries } = await get("history");
  const newest = [...entries].reverse();
  const rows = newest.map(({ text, time, undone }) =>
    el("li", {}, el("time", {}, clock(time)), el("span", { className: undone ? "undone" : "" }, text), undone ? " (undone)" : ""),
  );
  byId("entries").replaceChildren(...(rows.length ? rows : [el("li", { className: "muted" }, "No changes yet.")]));
  byId("history-dialog").showModal();
}

/** `changed()` is called after something was undone or done again. */
export function startChanges(changed) {
  const step = (way, done, none) => guarded(async () => {
    const { done: text } = await (await post(way)).json();
    say(text ? `${done}: ${text}` : none);
    if (text) await changed();
  });
  const undo = step("undo", "Undone", "Nothing to undo");
  const redo = step("redo", "Done again", "Nothing to do again");
  const history = guarded(showHistory);
  byId("undo").addEventListener("click", undo);
  byId("redo").addEventListener("click", redo);
  byId("history").addEventListener("click", history);
  shortcut("both", ["u", "Ctrl+Z"], "undo", undo);
  shortcut("both", ["Shift+U", "Ctrl+Shift+Z", "Ctrl+Y"], "redo", redo);
  shortcut("both", ["h"], "history", history);
}
