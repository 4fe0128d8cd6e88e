// The collection as the server tells it: one page of it, filters, and changes of photos.

import { get, path, put } from "./api.js";

/** Photos of a page. */
export const PAGE = 48;

export class Collection extends EventTarget {
  constructor() {
    super();
    this.filters = { order: "worst", label: "", state: "" };
    this.offset = 0;
    this.total = 0;
    this.rows = [];
    this.before = new Map(); // tags of a photo before its first change here since the last update
    this.last = Promise.resolve();
    this.loads = 0;
  }

  /** Read a page; an older answer that comes later is dropped. */
  async load(offset = this.offset) {
    const load = ++this.loads;
    const asked = new URLSearchParams({ order: this.filters.order, offset, limit: PAGE });
    for (const name of ["label", "state"]) if (this.filters[name] !== "") asked.set(name, this.filters[name]);
    const { total, photos } = await get(`photos?${asked}`);
    if (load !== this.loads) return;
    if (!photos.length && total && offset) {
      await this.load(Math.floor((total - 1) / PAGE) * PAGE);
      return;
    }
    [this.offset, this.total, this.rows] = [offset, total, photos];
    this.dispatchEvent(new Event("page"));
  }

  index(id) {
    return this.rows.findIndex((row) => row.id === id);
  }

  /** The photo `way` photos after this one, of the next or previous page if need be; null at the ends. */
  async neighbour(id, way) {
    const at = this.index(id) + way;
    if (at >= 0 && at < this.rows.length) return this.rows[at];
    const offset = this.offset + way * PAGE;
    if (offset < 0 || offset >= this.total) return null;
    await this.load(offset);
    return (way > 0 ? this.rows[0] : this.rows.at(-1)) ?? null;
  }

  /** A photo as the server knows it now. */
  async fresh(id) {
    const row = await get(path("photos", id));
    if (this.index(id) >= 0) this.rows[this.index(id)] = row;
    this.dispatchEvent(new CustomEvent("photo", { detail: row }));
    return row;
  }

  /** Change tags or state; changes are sent one after the other. */
  async #change(row, what, body) {
    if (what === "tags" && !this.before.has(row.id)) this.before.set(row.id, String(row.tags ?? []));
    const sent = this.last.then(() => put(path("photos", row.id, what), body));
    this.last = sent.catch(() => {});
    try {
      await sent;
    } finally {
      await this.fresh(row.id);
    }
    this.dispatchEvent(new Event("change"));
  }

  setTags(row, tags) {
    return this.#change(row, "tags", { tags });
  }

  /** The version says which mask was looked at: the server refuses a verdict on one that has changed meanwhile. */
  setState(row, state) {
    return this.#change(row, "state", { state, version: row.version });
  }

  /** Whether its tags were changed here and not trained on yet. */
  isUntrained(row) {
    return this.before.has(row.id) && this.before.get(row.id) !== String(row.tags);
  }

  /** An update has trained on all changes. */
  trained() {
    this.before.clear();
  }
}
