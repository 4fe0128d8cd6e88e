// The start: what the server has, the two views and their addresses (#try, #correct, #correct/ID).

import { get } from "./api.js";
import { Correct } from "./correct.js";
import { byId } from "./dom.js";
import { startDownloads } from "./downloads.js";
import { setView, shortcut, startKeys } from "./keys.js";
import { guarded } from "./notices.js";
import { Try } from "./try.js";

function route(correct) {
  const [view, id] = location.hash.slice(1).split("/");
  const name = correct && view !== "try" ? "correct" : "try";
  for (const each of ["try", "correct"]) {
    byId(`view-${each}`).hidden = each !== name;
    byId(`to-${each}`).toggleAttribute("aria-current", each === name);
    if (each === name) byId(`to-${each}`).setAttribute("aria-current", "page");
  }
  if (name === "try") setView("try");
  else return correct.show(id ? decodeURIComponent(id) : null);
}

/** The link to the content must not be taken for the address of a view. */
function startSkipLink() {
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("content").focus();
  });
}

const start = guarded(async () => {
  startKeys();
  startSkipLink();
  const info = await get("info");
  document.title = `${info.name} – tagseg`;
  byId("run").textContent = info.name;
  const colours = new Map(info.classes.map(({ label, colour }) => [label, colour]));
  const names = new Map(info.classes.map(({ label, name }) => [label, name]));
  startDownloads(info.formats);
  new Try(info, colours);
  const correct = info.collection ? new Correct(info, names, colours) : null;
  byId("views").hidden = !correct;
  if (correct) {
    shortcut("all", ["g"], "the other view", () => {
      location.hash = byId("view-try").hidden ? "try" : "correct";
    });
  }
  const go = guarded(() => route(correct));
  addEventListener("hashchange", go);
  await go();
});

start().finally(() => byId("content").removeAttribute("aria-busy"));
