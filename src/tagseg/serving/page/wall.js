// The wall of the collection: a page of photos with their masks, of which one can be reached by Tab.

import { bytes, path } from "./api.js";
import { PAGE } from "./collection.js";
import { byId, el, percent } from "./dom.js";
import { shortcut } from "./keys.js";
import { guarded } from "./notices.js";
import { drawLabels } from "./overlay.js";
import { decodeLabels } from "./png_labels.js";

/** Pixels of a small mask at most. */
const SMALL = 90_000;

export class Wall {
  constructor(collection, names, colours, open) {
    [this.collection, this.names, this.colours, this.open] = [collection, names, colours, open];
    this.at = 0;
    this.tiles = [];
    this.seen = new IntersectionObserver((entries) => this.#mayDraw(entries), { rootMargin: "300px" });
    collection.addEventListener("page", () => this.#page());
    collection.addEventListener("photo", ({ detail }) => this.#one(detail));
    this.#listen();
  }

  #listen() {
    const label = byId("by-class");
    label.append(el("option", { value: 0 }, "without tags"));
    label.append(...[...this.names].filter(([at]) => at).map(([at, name]) => el("option", { value: at }, name)));
    const filters = { order: byId("order"), label, state: byId("by-state") };
    for (const [name, select] of Object.entries(filters)) {
      select.addEventListener("change", guarded(() => {
        this.collection.filters[name] = select.value;
        return this.collection.load(0);
      }));
    }
    const turn = (way) => guarded(() => this.collection.load(this.collection.offset + way * PAGE));
    byId("previous-page").addEventListener("click", turn(-1));
    byId("next-page").addEventListener("click", turn(1));
    const opacity = byId("wall-opacity");
    const fade = () => byId("wall").style.setProperty("--opacity", opacity.value / 100);
    opacity.addEventListener("input", fade);
    fade();
    const columns = () => getComputedStyle(byId("wall")).gridTemplateColumns.split(" ").length;
    shortcut("wall", ["j", "ArrowRight"], "next photo", () => this.move(1));
    shortcut("wall", ["k", "ArrowLeft"], "previous photo", () => this.move(-1));
    shortcut("wall", ["ArrowDown"], "one row down", () => this.move(columns(), false));
    shortcut("wall", ["ArrowUp"], "one row up", () => this.move(-columns(), false));
    shortcut("wall", ["n"], "next page", () => byId("next-page").click());
    shortcut("wall", ["b"], "page before", () => byId("previous-page").click());
    shortcut("wall", ["Enter"], "open");
  }

  /** The photo that has the focus; null where none has. */
  get current() {
    const at = this.tiles.indexOf(document.activeElement);
    return this.collection.rows[at] ?? null;
  }

  /** Move the focus; at the end of a page to the next one. */
  move = guarded(async (way, turn = true) => {
    const focused = this.tiles.includes(document.activeElement);
    const to = focused ? this.at + way : this.at;
    if (to >= 0 && to < this.tiles.length) {
      this.#focus(to);
    } else if (turn && focused) {
      const next = await this.collection.neighbour(this.current.id, way);
      if (next) this.#focus(this.collection.index(next.id));
    }
  });

  /** Put the focus on a photo of this page. */
  focusOn(id) {
    this.#focus(Math.max(0, this.collection.index(id)));
  }

  #focus(to) {
    this.#reachable(to);
    this.tiles[to]?.focus();
  }

  #reachable(to) {
    this.at = to;
    this.tiles.forEach((tile, index) => { tile.tabIndex = index === to ? 0 : -1; });
  }

  #page() {
    const { rows, offset, total } = this.collection;
    const had = this.tiles.includes(document.activeElement);
    const before = this.tiles[this.at]?.dataset.id;
    this.seen.disconnect();
    this.tiles = rows.map((row) => this.#tile(row));
    byId("wall").replaceChildren(...this.tiles.map((tile) => el("li", {}, tile)));
    for (const tile of this.tiles) this.seen.observe(tile);
    const to = Math.max(0, this.collection.index(before));
    this.#reachable(to);
    if (had) this.tiles[to]?.focus();
    byId("empty").hidden = total > 0;
    byId("count").textContent = total ? `${offset + 1}–${offset + rows.length} of ${total}` : "0 photos";
    byId("previous-page").disabled = offset === 0;
    byId("next-page").disabled = offset + rows.length >= total;
  }

  #one(row) {
    const at = this.collection.index(row.id);
    if (at < 0) return;
    const [old, tile] = [this.tiles[at], this.#tile(row)];
    const had = old === document.activeElement;
    tile.tabIndex = old.tabIndex;
    this.tiles[at] = tile;
    this.seen.unobserve(old);
    old.replaceWith(tile);
    this.seen.observe(tile);
    if (had) tile.focus();
  }

  #tile(row) {
    const tags = row.tags.map((label) => this.names.get(label) ?? `class ${label}`).join(", ") || "no tags";
    const image = el("img", { alt: "", loading: "lazy", src: `api/${path("photos", row.id, "thumb.jpg")}` });
    const fit = el("div", { className: "fit" }, image, el("canvas"));
    fit.style.setProperty("--ratio", row.width / row.height);
    const about = el("span", { className: "about" },
      el("span", { className: "title" }, row.name),
      el("span", { className: "tags" }, tags),
      el("span", { className: "line" },
        el("span", { className: "badge", data: { state: row.state } }, row.state),
        el("span", { className: "muted" }, typeof row.iou === "number" ? `IoU ≈ ${percent(row.iou)}` : ""),
      ),
    );
    const tile = el("button", { type: "button", className: "tile", title: row.why ?? "", tabIndex: -1,
      data: { id: row.id, state: row.state } }, el("span", { className: "thumb" }, fit), about);
    tile.addEventListener("focus", () => this.#reachable(this.tiles.indexOf(tile)));
    tile.addEventListener("click", () => this.open(row.id));
    return tile;
  }

  #mayDraw(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      this.seen.unobserve(target);
      this.#drawMask(target);
    }
  }

  #drawMask = guarded(async (tile) => {
    const row = this.collection.rows[this.collection.index(tile.dataset.id)];
    if (!row) return;
    const map = await decodeLabels(await bytes(`${path("photos", row.id, "mask.png")}?v=${row.version}`));
    if (tile.isConnected) drawLabels(tile.querySelector("canvas"), map, this.colours, SMALL);
  });
}
