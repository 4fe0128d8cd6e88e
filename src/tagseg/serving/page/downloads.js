// The dialog in which formats of masks are chosen, and the download.

import { download } from "./api.js";
import { byId, el } from "./dom.js";
import { say } from "./notices.js";

let going = null;

export function startDownloads(formats) {
  const boxes = formats.map((name, index) =>
    el("label", { className: "check" }, el("input", { type: "checkbox", value: name, checked: index === 0 }), name),
  );
  byId("formats").append(...boxes);
  byId("download-dialog").querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = [...byId("formats").querySelectorAll("input:checked")].map((box) => box.value);
    const error = byId("download-error");
    error.textContent = chosen.length ? "" : "no format is chosen, expected one or more";
    if (!chosen.length) return;
    byId("download-go").disabled = true;
    byId("download-go").textContent = "Making the zip …";
    try {
      await download(going.path, going.body(chosen), going.name);
      byId("download-dialog").close();
      say("Masks downloaded");
    } catch (failed) {
      error.textContent = failed.message;
    } finally {
      byId("download-go").disabled = false;
      byId("download-go").textContent = "Download";
    }
  });
}

/** Ask for some of `offered` formats, then download `path` with `body(formats)` as `name`. */
export function askDownload(title, what, offered, path, body, name) {
  going = { path, body, name };
  for (const box of byId("formats").querySelectorAll("input")) {
    box.closest("label").hidden = !offered.includes(box.value);
    if (!offered.includes(box.value)) box.checked = false;
  }
  byId("download-title").textContent = title;
  byId("download-what").textContent = what;
  byId("download-error").textContent = "";
  byId("download-dialog").showModal();
}
