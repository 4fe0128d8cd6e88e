// The view Correct: wall and opened photo, and what both share.

import { byId } from "./dom.js";
import { startChanges } from "./changes.js";
import { Collection } from "./collection.js";
import { askDownload } from "./downloads.js";
import { setView, shortcut } from "./keys.js";
import { guarded } from "./notices.js";
import { Opened } from "./opened.js";
import { Share } from "./share.js";
import { Update } from "./update.js";
import { Wall } from "./wall.js";

export class Correct {
  constructor(info, names, colours) {
    const go = (id) => { location.hash = `correct/${encodeURIComponent(id)}`; };
    const drawn = new Map([...colours].filter(([label]) => label));
    this.collection = new Collection();
    this.wall = new Wall(this.collection, names, drawn, go);
    this.opened = new Opened(this.collection, names, drawn, go, () => { location.hash = "correct"; });
    this.update = new Update(this.collection, () => {
      this.collection.trained();
      return this.#again();
    });
    this.share = new Share(guarded(() => this.update.look()));
    startChanges(async () => {
      await Promise.all([this.#again(), this.share.load(), this.update.look()]);
    });
    this.#verdicts();
    const save = () => askDownload("Export accepted masks", "The masks of all accepted photos in one zip file",
      info.accepted_formats, "photos/zip", (formats) => ({ formats }), "accepted.zip");
    byId("export").addEventListener("click", save);
    shortcut("both", ["e"], "export accepted", save);
    this.started = false;
  }

  #verdicts() {
    const judge = (state) => guarded(async () => {
      if (this.opened.row) return this.opened.judge(state);
      if (this.wall.current) await this.collection.setState(this.wall.current, state);
    });
    shortcut("both", ["a"], "accept", judge("accepted"));
    shortcut("both", ["x"], "reject", judge("rejected"));
    shortcut("both", ["r"], "reopen", judge("open"));
  }

  async #again() {
    await this.collection.load();
    if (this.opened.row) await this.collection.fresh(this.opened.row.id);
  }

  /** Show the wall, or the photo of that id. */
  async show(id) {
    setView(id ? "photo" : "wall");
    const left = this.opened.row?.id;
    byId("wall-view").hidden = Boolean(id);
    byId("photo-view").hidden = !id;
    if (!id) this.opened.leave();
    if (!this.started) {
      this.started = true;
      await Promise.all([this.collection.load(), this.share.load(), this.update.look()]);
    }
    if (id) await this.opened.show(id);
    else if (left) this.wall.focusOn(left);
  }
}
