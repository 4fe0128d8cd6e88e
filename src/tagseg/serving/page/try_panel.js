// Beside the photo of Try: its classes with shares, which of them are drawn, and probabilities below the cross-hair.

import { get, path } from "./api.js";
import { byId, el, percent, swatch } from "./dom.js";
import { guarded } from "./notices.js";

/** Classes shown below the cross-hair at most. */
const MOST = 6;

export class Panel {
  constructor(colours, redraw) {
    this.colours = colours;
    this.redraw = redraw;
    this.off = new Set();
    this.result = null;
    this.asked = null;
    this.asking = false;
  }

  /** Colours of the classes that are on. */
  get shown() {
    return new Map([...this.colours].filter(([label]) => label && !this.off.has(label)));
  }

  show(result) {
    this.result = result;
    byId("photo-name").textContent = result.name;
    byId("photo-size").textContent = `${result.width} × ${result.height} pixels${result.crf ? ", with CRF" : ""}`;
    const found = [...result.classes].sort((a, b) => b.share - a.share || a.label - b.label);
    const rows = found.map((each) => this.#row(each));
    const none = el("li", { className: "muted" }, "nothing but background");
    byId("classes").querySelector("ul")?.remove();
    byId("classes").append(el("ul", {}, ...rows, found.some((each) => each.label) ? null : none));
    byId("probabilities").replaceChildren();
    byId("pointer").hidden = false;
  }

  #row({ label, name, share, confidence }) {
    const sure = typeof confidence === "number" ? `mean confidence ${percent(confidence)}` : "";
    const parts = [swatch(this.colours.get(label) ?? "transparent"), el("span", { className: "label-name" }, name)];
    const amount = el("span", { className: "amount", title: sure }, percent(share, 1));
    if (!label) return el("li", {}, el("label", {}, el("input", { type: "checkbox", disabled: true }), ...parts, amount));
    const box = el("input", { type: "checkbox", checked: !this.off.has(label), data: { label } });
    box.addEventListener("change", () => {
      if (box.checked) this.off.delete(label);
      else this.off.add(label);
      this.redraw();
    });
    return el("li", {}, el("label", {}, box, ...parts, amount));
  }

  /** Ask for the probabilities of a pixel; while one answer is awaited only the newest question is kept. */
  point(x, y, byKey) {
    this.asked = { x, y, byKey, id: this.result.id };
    if (!this.asking) this.#ask();
  }

  #ask = guarded(async () => {
    this.asking = true;
    try {
      while (this.asked) {
        const { x, y, byKey, id } = this.asked;
        this.asked = null;
        const { probabilities } = await get(`${path("results", id, "probability")}?x=${x}&y=${y}`);
        if (id === this.result?.id) this.#tell(x, y, probabilities, byKey);
      }
    } finally {
      this.asking = false;
    }
  });

  #tell(x, y, probabilities, byKey) {
    const best = [...probabilities].sort((a, b) => b.probability - a.probability).slice(0, MOST);
    byId("pointer").hidden = true;
    byId("pointer-title").textContent = `Under the pointer: ${x}, ${y}`;
    byId("probabilities").replaceChildren(
      ...best.map(({ name, probability }) => {
        const bar = el("i");
        bar.style.setProperty("--share", probability);
        const track = el("span", { className: "track", aria: { hidden: "true" } }, bar);
        return el("li", {}, el("span", {}, name), el("span", {}, percent(probability, 1)), track);
      }),
    );
    if (byKey) {
      const said = best.slice(0, 3).map(({ name, probability }) => `${name} ${percent(probability)}`);
      byId("spoken").textContent = `${x}, ${y}: ${said.join(", ")}`;
    }
  }
}
