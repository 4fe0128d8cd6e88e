// What happened, in live regions: notes go by themselves, errors stay until they are closed.

import { byId, el } from "./dom.js";

const NOTE_TIME = 5000;

export function say(text) {
  const note = el("div", { className: "notice" }, el("span", {}, text));
  byId("notes").replaceChildren(note);
  setTimeout(() => note.remove(), NOTE_TIME);
}

export function fail(error) {
  console.info(error);
  const line = error instanceof Error ? error.message : String(error);
  const shown = [...byId("errors").children];
  if (shown.some((each) => each.firstChild.textContent === line)) return;
  const close = el("button", { type: "button", aria: { label: "Close this error" } }, "Close");
  const notice = el("div", { className: "notice" }, el("span", {}, line), close);
  close.addEventListener("click", () => notice.remove());
  byId("errors").append(notice);
  if (shown.length >= 3) shown[0].remove();
}

/** A listener that shows the error of what it calls. */
export const guarded = (call) => async (...given) => {
  try {
    return await call(...given);
  } catch (error) {
    fail(error);
  }
};
