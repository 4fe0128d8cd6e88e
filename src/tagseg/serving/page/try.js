// The view Try: photos in, masks out.

import { bytes, path } from "./api.js";
import { byId, el, swatch } from "./dom.js";
import { askDownload } from "./downloads.js";
import { shortcut } from "./keys.js";
import { fail, guarded } from "./notices.js";
import { decodeLabels } from "./png_labels.js";
import { Panel } from "./try_panel.js";
import { droppedFiles, Uploads } from "./uploads.js";
import { Viewer } from "./viewer.js";

/** Classes that are named before the first photo. */
const MOST_CHIPS = 30;
/** Labels of a partition that are drawn: 1 uncertain, 2 certain. */
const PARTITION = new Map([[1, "#ffb31a"], [2, "#14a37f"]]);

export class Try {
  constructor(info, colours) {
    this.formats = info.formats;
    this.panel = new Panel(colours, () => this.#overlay());
    this.viewer = new Viewer(byId("viewer-try"), (x, y, byKey) => this.shown && this.panel.point(x, y, byKey));
    this.uploads = new Uploads(info.limits ?? {}, () => this.#changed());
    this.current = null;
    this.shown = null;
    this.maps = new Map();
    this.#tellLimits(info.limits ?? {});
    this.#tellClasses(info.classes);
    this.#listen();
    this.#shortcuts();
  }

  #tellLimits({ bytes: most, pixels }) {
    const parts = [most && `${Math.round(most / 1e6)} MB`, pixels && `${Math.round(pixels / 1e6)} megapixels`];
    const text = parts.filter(Boolean).join(" and ");
    byId("limits").textContent = text && `JPEG, PNG, WebP, TIFF …, up to ${text} each`;
  }

  #tellClasses(classes) {
    const known = classes.filter(({ label }) => label);
    const chips = known.slice(0, MOST_CHIPS).map(({ name, colour }) => el("li", {}, swatch(colour), name));
    if (known.length > MOST_CHIPS) chips.push(el("li", {}, `and ${known.length - MOST_CHIPS} more`));
    byId("knows").append(...chips);
  }

  #listen() {
    for (const button of document.querySelectorAll("[data-choose]")) {
      button.addEventListener("click", () => byId("files").click());
    }
    byId("files").addEventListener("change", () => {
      this.add([...byId("files").files]);
      byId("files").value = "";
    });
    for (const radio of document.querySelectorAll("[name=layer]")) {
      radio.addEventListener("change", () => this.#overlay());
    }
    byId("opacity").addEventListener("input", () => this.#opacity(0));
    byId("crf").addEventListener("change", () => this.#show(this.current));
    byId("remove").addEventListener("click", () => this.#remove());
    byId("download").addEventListener("click", () => this.#download());
    const visible = () => !byId("view-try").hidden;
    document.addEventListener("paste", (event) => {
      if (visible() && event.clipboardData?.files.length) this.add([...event.clipboardData.files]);
    });
    const dropping = (on) => document.body.classList.toggle("dropping", on && visible());
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      dropping(true);
    });
    document.addEventListener("dragleave", (event) => !event.relatedTarget && dropping(false));
    document.addEventListener("drop", guarded(async (event) => {
      event.preventDefault();
      dropping(false);
      if (!visible()) return;
      const files = await droppedFiles(event.dataTransfer);
      if (files.length) this.add(files);
      else fail("what was dropped has no photos");
    }));
    this.#opacity(0);
  }

  #shortcuts() {
    const layer = (name) => () => {
      document.querySelector(`[name=layer][value=${name}]`).checked = true;
      this.#overlay();
    };
    shortcut("try", ["o"], "choose photos", () => byId("files").click());
    shortcut("try", ["j", "ArrowRight"], "next photo", () => this.#step(1));
    shortcut("try", ["k", "ArrowLeft"], "previous photo", () => this.#step(-1));
    shortcut("try", ["m"], "mask", layer("mask"));
    shortcut("try", ["p"], "partition", layer("partition"));
    shortcut("try", ["v"], "photo alone", layer("photo"));
    shortcut("try", ["["], "less opacity", () => this.#opacity(-10));
    shortcut("try", ["]"], "more opacity", () => this.#opacity(10));
    shortcut("try", ["c"], "CRF on or off", () => byId("crf").click());
    shortcut("try", ["f"], "focus the photo; its arrow keys move the cross-hair", () => this.viewer.frame.focus());
    shortcut("try", ["d"], "download masks", () => this.current && this.#download());
    shortcut("try", ["Delete"], "remove this photo", () => this.current && this.#remove());
  }

  get crf() {
    return byId("crf").checked;
  }

  add(files) {
    const taken = this.uploads.add(files, this.crf);
    if (taken.length) this.#show(taken[0]);
  }

  #opacity(change) {
    byId("opacity").value = Number(byId("opacity").value) + change;
    this.viewer.opacity = byId("opacity").value;
  }

  #step(way) {
    const photos = this.uploads.photos;
    const next = photos[photos.indexOf(this.current) + way];
    if (next) this.#show(next);
  }

  #remove() {
    const at = this.uploads.photos.indexOf(this.current);
    this.uploads.remove(this.current);
    this.#show(this.uploads.photos[Math.min(at, this.uploads.photos.length - 1)] ?? null);
    (this.current ? byId("remove") : document.querySelector("#drop [data-choose]")).focus();
  }

  #download() {
    const results = this.uploads.photos.map((photo) => photo.results.get(this.crf) ?? [...photo.results.values()][0]);
    const ids = results.filter(Boolean).map((result) => result.id);
    const what = `${ids.length} ${ids.length === 1 ? "photo" : "photos"} in one zip file`;
    askDownload("Download masks", what, this.formats, "results/zip", (formats) => ({ ids, formats }), "masks.zip");
  }

  #changed() {
    const photos = this.uploads.photos;
    if (this.current && !photos.includes(this.current)) this.current = photos.at(-1) ?? null;
    this.#show(this.current);
    const [now, left] = [this.uploads.waiting[0], this.uploads.waiting.length];
    const more = left > 1 ? `, ${left - 1} more to come` : "";
    byId("busy").textContent = now ? `Segmenting ${now.photo.name}${now.crf ? " with CRF" : ""}${more} …` : "";
  }

  /** Show a photo's newest result; where the one that is wanted is missing it is asked for. */
  #show(photo) {
    this.current = photo;
    byId("drop").hidden = Boolean(photo);
    byId("result").hidden = !photo;
    this.#strip();
    const result = photo && (photo.results.get(this.crf) ?? photo.results.get(!this.crf));
    byId("download").disabled = !result;
    if (photo && !photo.results.has(this.crf)) this.uploads.want(photo, this.crf);
    if (result && result === this.shown) return;
    this.shown = result ?? null;
    this.maps.clear();
    if (!result) {
      if (photo) this.#showWaiting(photo);
      return;
    }
    this.viewer.show(`api/${path("results", result.id, "photo.jpg")}`, result.width, result.height, result.name);
    this.panel.show(result);
    this.#overlay();
    if (result.crf === this.crf) this.#announce(result);
  }

  #announce(result) {
    const found = result.classes.filter((each) => each.label).map((each) => each.name);
    byId("spoken").textContent = `${result.name}: ${found.join(", ") || "nothing but background"}`;
  }

  #showWaiting(photo) {
    this.viewer.hideOverlay();
    this.viewer.image.removeAttribute("src");
    byId("photo-name").textContent = photo.name;
    byId("photo-size").textContent = "";
    byId("classes").querySelector("ul")?.remove();
    byId("probabilities").replaceChildren();
  }

  #overlay = guarded(async () => {
    const layer = document.querySelector("[name=layer]:checked").value;
    byId("partition-key").hidden = layer !== "partition";
    byId("classes").hidden = layer === "partition";
    const result = this.shown;
    if (!result) return;
    if (layer === "photo") {
      this.viewer.hideOverlay();
      return;
    }
    const map = await this.#map(result, layer);
    const still = this.shown === result && document.querySelector("[name=layer]:checked").value === layer;
    if (map && still) this.viewer.draw(map, layer === "mask" ? this.panel.shown : PARTITION);
  });

  /** The label map of a layer; a result that the server no longer keeps is made again. */
  async #map(result, layer) {
    if (!this.maps.has(layer)) {
      try {
        this.maps.set(layer, await decodeLabels(await bytes(path("results", result.id, `${layer}.png`))));
      } catch (error) {
        if (error.status !== 404 || !this.current) throw error;
        this.current.results.delete(result.crf);
        this.uploads.want(this.current, result.crf);
        return null;
      }
    }
    return this.maps.get(layer);
  }

  #strip() {
    const buttons = this.uploads.photos.map((photo) => {
      const result = [...photo.results.values()][0];
      const inside = result
        ? el("img", { alt: "", loading: "lazy", src: `api/${path("results", result.id, "photo.jpg")}` })
        : "waiting …";
      const button = el("button", { type: "button", title: photo.name, aria: { label: photo.name } }, inside);
      if (photo === this.current) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => this.#show(photo));
      return el("li", {}, button);
    });
    const focused = [...byId("strip").children].findIndex((each) => each.contains(document.activeElement));
    byId("strip").replaceChildren(...buttons);
    buttons[focused]?.firstChild.focus();
  }
}
