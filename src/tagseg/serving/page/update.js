// Update: train with the changes, show how far it is, and have everything drawn anew.

import { get, post } from "./api.js";
import { byId } from "./dom.js";
import { shortcut } from "./keys.js";
import { fail, guarded, say } from "./notices.js";

const POLL = 400;

function timeLeft(seconds) {
  if (typeof seconds !== "number") return "";
  return seconds < 90 ? `, ${Math.ceil(seconds)} s left` : `, ${Math.ceil(seconds / 60)} min left`;
}

export class Update {
  /** `redraw()` is called when masks have changed. */
  constructor(collection, redraw) {
    this.redraw = redraw;
    this.version = null;
    this.watching = false;
    const ask = guarded(() => this.look());
    collection.addEventListener("change", ask);
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && ask());
    byId("update").addEventListener("click", this.start);
    shortcut("both", ["Ctrl+Enter"], "Update", () => !byId("update").disabled && this.start());
  }

  start = guarded(async () => {
    await post("update");
    this.began = Date.now();
    await this.look();
  });

  /** Ask how far it is, again and again while it runs. */
  async look() {
    const told = await get("update");
    this.#show(told);
    if (told.state === "running") {
      if (!this.watching) this.#watch();
      return;
    }
    if (this.version !== null && told.version !== this.version) await this.redraw();
    this.version = told.version;
  }

  async #watch() {
    this.watching = true;
    try {
      let told;
      do {
        await new Promise((done) => setTimeout(done, POLL));
        told = await get("update");
        this.#show(told);
      } while (told.state === "running");
      if (told.state === "failed") {
        fail(told.error ?? "the update failed");
      } else {
        this.version = told.version;
        await this.redraw();
        const took = this.began ? ` in ${Math.ceil((Date.now() - this.began) / 1000)} s` : "";
        say(`Updated${took}: masks are redrawn`);
      }
    } catch (error) {
      fail(error);
    } finally {
      this.watching = false;
    }
  }

  #show({ state, stage, fraction, seconds_left: seconds, pending }) {
    const running = state === "running";
    byId("update").disabled = running || !pending;
    byId("update").textContent = running ? "Updating …" : "Update";
    const text = pending === 1 ? "1 change not yet trained" : `${pending} changes not yet trained`;
    byId("pending").textContent = pending ? text : "no changes to train";
    byId("pending").toggleAttribute("data-some", pending > 0);
    byId("progress").hidden = !running;
    byId("progress-bar").value = fraction ?? 0;
    const done = `${stage || "starting"}: ${Math.floor(100 * (fraction ?? 0))} %`;
    byId("progress-text").textContent = running ? done + timeLeft(seconds) : "";
  }
}
