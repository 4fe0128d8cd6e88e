// Keyboard shortcuts: what they do in which view, and the dialog that lists them.

import { byId, el } from "./dom.js";

const TITLES = { all: "Everywhere", try: "Try", wall: "Correct: all photos", photo: "Correct: one photo", both: "Correct" };
const shortcuts = [];
let view = "try";

/** The view whose shortcuts are on: try, wall or photo. */
export const setView = (name) => { view = name; };

/**
 * Let keys call something in a view (`all`: in each, `both`: in wall and photo).
 * Keys are written as "j", "Shift+U", "Ctrl+Z", "ArrowRight". Without a call they are listed alone.
 */
export function shortcut(where, keys, text, call = null) {
  shortcuts.push({ where, keys, text, call });
}

function pressed(event) {
  const letter = /^[a-z]$/i.test(event.key);
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey) parts.push("Alt");
  if (event.shiftKey && (letter || event.key.length > 1)) parts.push("Shift");
  parts.push(letter ? (event.shiftKey || parts.length ? event.key.toUpperCase() : event.key.toLowerCase()) : event.key);
  return parts.join("+");
}

/** Whether the element needs the key itself. */
function wanted(target, key) {
  if (!(target instanceof Element)) return false;
  if (target.matches("input[type=search], input[type=text], textarea")) return key !== "Escape";
  if (target.matches("select")) return !key.startsWith("Ctrl");
  return target.matches("input[type=range], input[type=radio]") && /^(Arrow|Home|End|Page)/.test(key);
}

const isOn = (where) => where === "all" || where === view || (where === "both" && view !== "try");
const plain = (key) => [...key.replace("Shift+", "")].length === 1 && !key.startsWith("Ctrl");

function listen(event) {
  const key = pressed(event);
  if (event.defaultPrevented || document.querySelector("dialog[open]") || wanted(event.target, key)) return;
  if (plain(key) && !byId("keys-on").checked) return;
  const found = shortcuts.find((each) => each.call && isOn(each.where) && each.keys.includes(key));
  if (!found) return;
  event.preventDefault();
  found.call(event);
}

const NAMES = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };

function list() {
  const rows = [];
  for (const [where, title] of Object.entries(TITLES)) {
    const own = shortcuts.filter((each) => each.where === where);
    if (!own.length) continue;
    rows.push(el("h3", {}, title));
    for (const { keys, text } of own) {
      const shown = keys.flatMap((key) => [el("kbd", {}, NAMES[key] ?? key), " "]);
      rows.push(el("div", {}, el("span", {}, text), el("span", {}, ...shown)));
    }
  }
  byId("shortcuts").replaceChildren(...rows);
}

export function startKeys() {
  const on = byId("keys-on");
  try {
    on.checked = localStorage.getItem("tagseg-keys") !== "off";
    on.addEventListener("change", () => localStorage.setItem("tagseg-keys", on.checked ? "on" : "off"));
  } catch { /* private windows keep nothing */ }
  const open = () => {
    list();
    byId("help-dialog").showModal();
  };
  shortcut("all", ["?"], "this list", open);
  byId("help").addEventListener("click", open);
  document.addEventListener("keydown", listen);
  for (const button of document.querySelectorAll("dialog [data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
}
