// A photo with an overlay, and a cross-hair that pointer and arrow keys move.

import { el } from "./dom.js";
import { drawLabels } from "./overlay.js";

/** An arrow key moves by this part of the longer side. */
const STEP = 1 / 100;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Viewer {
  /** `onPoint(x, y, byKey)` is told the photo's pixel below the cross-hair; without it there is none. */
  constructor(holder, onPoint = null) {
    this.onPoint = onPoint;
    this.image = el("img", { alt: "", draggable: false });
    this.canvas = el("canvas", { aria: { hidden: "true" } });
    this.cross = ["x", "y"].map((axis) => el("div", { className: `cross ${axis}`, hidden: true }));
    this.frame = el("div", { className: onPoint ? "frame" : "frame plain" }, this.image, this.canvas, ...this.cross);
    holder.classList.add("viewer");
    holder.append(this.frame);
    this.size = [1, 1];
    this.at = null;
    if (onPoint) this.#listen();
  }

  #listen() {
    this.frame.tabIndex = 0;
    this.frame.setAttribute("role", "application");
    for (const kind of ["pointermove", "pointerdown"]) {
      this.frame.addEventListener(kind, (event) => {
        const box = this.frame.getBoundingClientRect();
        const part = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
        this.#moveTo(part.map((each, axis) => Math.floor(each * this.size[axis])), false);
      });
    }
    this.frame.addEventListener("keydown", (event) => {
      const way = ARROWS[event.key];
      if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      const step = event.shiftKey ? 1 : Math.max(1, Math.round(Math.max(...this.size) * STEP));
      const from = this.at ?? this.size.map((side) => Math.floor(side / 2));
      this.#moveTo(from.map((each, axis) => each + way[axis] * step), true);
    });
  }

  #moveTo(to, byKey) {
    const at = to.map((each, axis) => Math.min(this.size[axis] - 1, Math.max(0, each)));
    if (this.at && at[0] === this.at[0] && at[1] === this.at[1]) return;
    this.at = at;
    this.cross.forEach((line, axis) => {
      line.hidden = false;
      line.style.setProperty(["--x", "--y"][axis], (at[axis] + 0.5) / this.size[axis]);
    });
    this.onPoint(at[0], at[1], byKey);
  }

  /** Show a photo by its address; the overlay is empty and the cross-hair gone. */
  show(url, width, height, name) {
    this.size = [width, height];
    this.at = null;
    for (const line of this.cross) line.hidden = true;
    this.frame.style.setProperty("--ratio", width / height);
    this.canvas.hidden = true;
    this.image.src = url;
    this.image.alt = name;
    if (this.onPoint) {
      this.frame.setAttribute("aria-label", `${name}: arrow keys move the cross-hair, with Shift by one pixel`);
    }
  }

  /** Draw labels over the photo. */
  draw(map, colours) {
    drawLabels(this.canvas, map, colours);
    this.canvas.hidden = false;
  }

  hideOverlay() {
    this.canvas.hidden = true;
  }

  set opacity(percent) {
    this.frame.style.setProperty("--opacity", percent / 100);
  }
}
