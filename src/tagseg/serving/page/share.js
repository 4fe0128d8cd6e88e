// The share of foreground that pseudo-labels are given: estimated, or set here.

import { get, put } from "./api.js";
import { byId, percent } from "./dom.js";
import { guarded } from "./notices.js";

export class Share {
  /** `changed()` is called after the server has taken a value. */
  constructor(changed) {
    const [slider, estimated] = [byId("share"), byId("estimated")];
    this.edits = 0; // how often slider or check box was moved
    this.unsent = 0; // values on their way to the server
    this.last = Promise.resolve(); // values are sent one after the other, so the newest is the one kept
    const send = guarded(async () => {
      const edit = ++this.edits;
      const share = estimated.checked ? null : Number(slider.value) / 100;
      this.unsent += 1;
      this.#tell();
      this.last = this.last.catch(() => {}).then(() => edit === this.edits && put("share", { share }));
      try {
        await this.last;
      } finally {
        this.unsent -= 1;
        await this.load();
      }
      changed();
    });
    slider.addEventListener("input", () => { this.edits += 1; this.#tell(); });
    slider.addEventListener("change", send);
    estimated.addEventListener("change", send);
  }

  /** Show what the server keeps, unless a newer value was chosen meanwhile: the slider never moves back below the hand. */
  async load() {
    const { edits } = this;
    if (this.unsent) return;
    const { share, estimate } = await get("share");
    if (this.edits !== edits) return;
    byId("estimated").checked = share === null;
    const value = share ?? estimate;
    if (typeof value === "number") byId("share").value = Math.round(100 * value);
    this.known = typeof value === "number";
    this.#tell();
  }

  #tell() {
    const estimated = byId("estimated").checked;
    byId("share").disabled = estimated;
    const shown = percent(byId("share").value / 100);
    byId("share-value").textContent = estimated ? (this.known ? `≈ ${shown}` : "") : shown;
  }
}
