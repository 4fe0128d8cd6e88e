// One photo of the collection, large: its tags, why it is doubtful, and the verdict.

import { bytes, path } from "./api.js";
import { byId, el, percent, swatch } from "./dom.js";
import { shortcut } from "./keys.js";
import { guarded } from "./notices.js";
import { decodeLabels } from "./png_labels.js";
import { Viewer } from "./viewer.js";

/** From this many classes on there is a field that finds a tag. */
const MANY = 16;
const UNTRAINED = "Tags have changed: this mask is drawn with them, Update trains the network with them.";

export class Opened {
  /** `go(id)` opens another photo, `close()` goes back to the wall. */
  constructor(collection, names, colours, go, close) {
    [this.collection, this.names, this.colours, this.go, this.close] = [collection, names, colours, go, close];
    this.row = null;
    this.viewer = new Viewer(byId("viewer-correct"));
    this.#makeTags();
    this.#listen();
    collection.addEventListener("photo", ({ detail }) => detail.id === this.row?.id && this.#fill(detail));
  }

  #makeTags() {
    this.boxes = new Map();
    const rows = [...this.names].filter(([label]) => label).map(([label, name], index) => {
      const box = el("input", { type: "checkbox", value: label });
      box.addEventListener("change", guarded(() => this.#send()));
      this.boxes.set(label, box);
      const key = index < 9 ? el("kbd", { aria: { hidden: "true" } }, String(index + 1)) : null;
      const text = el("span", { className: "label-name" }, name);
      return el("li", { data: { name: name.toLowerCase() } },
        el("label", {}, box, swatch(this.colours.get(label)), text, key));
    });
    byId("tag-list").append(...rows);
    const find = byId("find-tag");
    find.hidden = rows.length < MANY;
    find.addEventListener("input", () => {
      for (const row of rows) row.hidden = !row.dataset.name.includes(find.value.trim().toLowerCase());
    });
  }

  #listen() {
    const step = (way) => guarded(async () => {
      const next = this.row && (await this.collection.neighbour(this.row.id, way));
      if (next) this.go(next.id);
    });
    byId("back").addEventListener("click", () => this.close());
    byId("previous").addEventListener("click", step(-1));
    byId("next").addEventListener("click", step(1));
    byId("accept").addEventListener("click", () => this.judge("accepted"));
    byId("reject").addEventListener("click", () => this.judge("rejected"));
    byId("reopen").addEventListener("click", () => this.judge("open"));
    const opacity = byId("opened-opacity");
    const fade = (change) => {
      opacity.value = Number(opacity.value) + change;
      this.viewer.opacity = opacity.value;
    };
    opacity.addEventListener("input", () => fade(0));
    fade(0);
    shortcut("photo", ["Escape"], "back to all photos", () => this.close());
    shortcut("photo", ["j", "ArrowRight"], "next photo", step(1));
    shortcut("photo", ["k", "ArrowLeft"], "previous photo", step(-1));
    shortcut("photo", ["["], "less opacity", () => fade(-10));
    shortcut("photo", ["]"], "more opacity", () => fade(10));
    const digits = Array.from({ length: Math.min(9, this.boxes.size) }, (_, index) => String(index + 1));
    if (digits.length) {
      shortcut("photo", digits, "tag on or off", (event) => [...this.boxes.values()][Number(event.key) - 1].click());
    }
  }

  /** Open a photo. */
  async show(id) {
    this.row = { id };
    const row = await this.collection.fresh(id);
    if (this.row?.id === id) byId("opened-name").focus({ preventScroll: true });
    return row;
  }

  /** Accept, reject or reopen; then the next photo, if so wished. */
  judge = guarded(async (state) => {
    const row = this.row;
    await this.collection.setState(row, state);
    if (state === "open" || !byId("go-on").checked || this.row?.id !== row.id) return;
    const next = await this.collection.neighbour(row.id, 1);
    if (next) this.go(next.id);
  });

  async #send() {
    const tags = [...this.boxes].filter(([, box]) => box.checked).map(([label]) => label);
    await this.collection.setTags(this.row, tags);
  }

  #fill(row) {
    const other = this.drawn?.id !== row.id;
    const redraw = other || this.drawn.version !== row.version;
    this.row = row;
    byId("opened-name").textContent = row.name;
    byId("opened-state").textContent = row.state;
    byId("opened-state").dataset.state = row.state;
    byId("opened-iou").textContent = typeof row.iou === "number" ? `estimated IoU ${percent(row.iou)}` : "";
    byId("why").textContent = row.why ? `Look at it because: ${row.why}` : "";
    byId("accept").setAttribute("aria-pressed", String(row.state === "accepted"));
    byId("reject").setAttribute("aria-pressed", String(row.state === "rejected"));
    byId("reopen").disabled = row.state === "open";
    for (const [label, box] of this.boxes) box.checked = row.tags.includes(label);
    byId("stale").textContent = this.collection.isUntrained(row) ? UNTRAINED : "";
    if (other) this.viewer.show(`api/${path("photos", row.id, "photo.jpg")}`, row.width, row.height, row.name);
    if (redraw) this.#draw(row);
  }

  #draw = guarded(async (row) => {
    this.drawn = { id: row.id, version: row.version };
    const map = await decodeLabels(await bytes(`${path("photos", row.id, "mask.png")}?v=${row.version}`));
    if (this.drawn.id === row.id && this.drawn.version === row.version) this.viewer.draw(map, this.colours);
  });

  leave() {
    this.row = null;
    this.drawn = null;
  }
}
