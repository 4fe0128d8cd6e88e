// Photos that were dropped, pasted or chosen, segmented one after the other.

import { segment } from "./api.js";
import { fail } from "./notices.js";

const BUSY = [429, 503];
const TRIES = 40;
const PAUSE = 1500;

const wait = (time) => new Promise((done) => setTimeout(done, time));

/** Patient with a server that is busy; every other error is the photo's. */
async function patiently(file, crf) {
  for (let left = TRIES; ; left--) {
    try {
      return await segment(file, crf);
    } catch (error) {
      if (!BUSY.includes(error.status) || !left) throw error;
      await wait(PAUSE);
    }
  }
}

export class Uploads {
  /** `changed(photo)` is called whenever something about the photos or the queue changes. */
  constructor(limits, changed) {
    this.limits = limits;
    this.changed = changed;
    this.photos = [];
    this.waiting = [];
    this.busy = false;
  }

  /** Take files; those that the server would refuse for their size are refused here, without sending them. */
  add(files, crf) {
    const taken = [];
    for (const file of files) {
      if (this.limits.bytes && file.size > this.limits.bytes) {
        const [has, most] = [file.size, this.limits.bytes].map((size) => (size / 1e6).toFixed(1));
        fail(`${file.name} has ${has} MB, expected at most ${most} MB: make it smaller`);
        continue;
      }
      taken.push({ file, name: file.name || "pasted photo", results: new Map() });
    }
    this.photos.push(...taken);
    for (const photo of taken) this.want(photo, crf);
    return taken;
  }

  /** The result of a photo with or without CRF will be there. */
  want(photo, crf) {
    if (this.waiting.some((each) => each.photo === photo && each.crf === crf)) return;
    this.waiting.push({ photo, crf });
    this.#work();
  }

  remove(photo) {
    this.photos = this.photos.filter((each) => each !== photo);
    this.waiting = this.waiting.filter((each) => each.photo !== photo);
    this.changed(photo);
  }

  async #work() {
    if (this.busy) return;
    this.busy = true;
    while (this.waiting.length) {
      const { photo, crf } = this.waiting[0];
      this.changed(photo);
      let error = null;
      try {
        photo.results.set(crf, await patiently(photo.file, crf));
      } catch (failed) {
        error = failed;
      }
      this.waiting = this.waiting.filter((each) => each.photo !== photo || each.crf !== crf);
      if (error) this.#drop(photo, error);
      this.changed(photo);
    }
    this.busy = false;
    this.changed(null);
  }

  #drop(photo, error) {
    const told = error.message.includes(photo.name) || error.status === 0;
    fail(told ? error.message : `${photo.name}: ${error.message}`);
    if (!photo.results.size) this.photos = this.photos.filter((each) => each !== photo);
  }
}

/** All files of a drop, those in folders too. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const files = [];
  const visit = async (entry) => {
    if (entry.isFile) {
      files.push(await new Promise((done, failed) => entry.file(done, failed)));
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!some.length) break;
      for (const each of some) await visit(each);
    }
  };
  for (const entry of entries) await visit(entry);
  return files.filter((file) => /^image\//.test(file.type) || /\.tiff?$/i.test(file.name));
}
