// The share of foreground that pseudo-labels are given: estimated, or set here.

import { get, put } from "./api.js";
import { byId, percent } from "./dom.js";
import { guarded } from "./notices.js";

export class Share {
  /** `changed()` is called after the server has taken a value. */
  constructor(changed) {
    const [slider, estimated] = [byId("share"), byId("estimated")];
    const send = guarded(async () => {
      this.#tell();
      try {
        await put("share", { share: estimated.checked ? null : Number(slider.value) / 100 });
      } finally {
        await this.load();
      }
      changed();
    });
    slider.addEventListener("input", () => this.#tell());
    slider.addEventListener("change", send);
    estimated.addEventListener("change", send);
  }

  async load() {
    const { share, estimate } = await get("share");
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
