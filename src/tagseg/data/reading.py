"""What was read: the data as they were understood, in a few lines at the start of each verb, and as JSON."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tagseg.data.config import DataConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.notes import Note
from tagseg.errors import list_some
from tagseg.files import replacing

logger = logging.getLogger("tagseg")

FILE = "data.json"
"""Name of the JSON file in the folder of a run or of its output."""

SHOWN = 20
"""Classes that are shown; the file has all."""


@dataclass(frozen=True)
class Reading:
    """What is shown and saved of the data.

    Attributes:
        rows: what is shown: a word and a text each.
        facts: the same, and more, as JSON takes it.
        notes: what was noticed; warnings are logged as such.
    """

    rows: tuple[tuple[str, str], ...]
    facts: Mapping[str, object]
    notes: tuple[Note, ...] = ()

    def lines(self) -> list[str]:
        """The rows and the notes that are no warnings, aligned."""
        rows = [*self.rows, *(("note", str(note)) for note in self.notes if not note.warning)]
        width = max((len(word) for word, _ in rows), default=0)
        return [f"{word:<{width}}  {text}" for word, text in rows]

    def noting(self, notes: Iterable[Note]) -> Reading:
        """The same with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def show(self, quiet: bool = False) -> None:
        """Log the lines, unless it is to be quiet, and the warnings as warnings (logger ``tagseg``)."""
        for line in [] if quiet else self.lines():
            logger.info("%s", line)
        show_warnings(self.notes)

    def save(self, folder: Path) -> None:
        """Write ``data.json`` to a folder.

        Raises:
            TagsegError: the folder cannot be written.
        """
        content = {**self.facts, "notes": [note.as_json() for note in self.notes]}
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        with replacing(folder / FILE) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def show_warnings(notes: Iterable[Note]) -> None:
    """Log the notes that are warnings."""
    for note in notes:
        if note.warning:
            logger.warning("%s", note)


def reading_of(config: DataConfig, splits: Mapping[str, TaggedImages], notes: Iterable[Note] = ()) -> Reading:
    """What was read of some splits.

    Args:
        config: the data settings.
        splits: their images by the name of the split, at least one; classes are counted in the first.
        notes: what was noticed beside the notes of the images.
    """
    first = next(iter(splits.values()))
    counts = {name: images.tag_counts().tolist() for name, images in splits.items()}
    all_notes = tuple(dict.fromkeys([note for images in splits.values() for note in images.notes] + list(notes)))
    described = {name: _facts_of(images, config.root) for name, images in splits.items()}
    facts = {
        "source": config.source,
        "taken for": first.layout,
        "root": os.path.abspath(os.path.expanduser(config.root)),
        "splits": described,
        "classes": [
            {"name": name, "images": {split: counts[split][k] for split in splits}}
            for k, name in enumerate(first.classes)
        ],
    }
    rows = [("data", f"{config.root}: {first.layout}" if first.layout else f"{config.source} ({config.root})")]
    rows += [(name, _text_of(images, config.root)) for name, images in splits.items()]
    rows.append(("classes", _classes(first, counts[next(iter(splits))])))
    return Reading(tuple(rows), facts, all_notes)


def reading_of_photos(photos: int, places: str, classes: tuple[str, ...], notes: Iterable[Note] = ()) -> Reading:
    """What ``predict`` was given.

    Args:
        photos: their number.
        places: where they are, for people.
        classes: the K classes of the network.
        notes: what was left out or otherwise noticed.
    """
    rows = (("photos", f"{photos} in {places}"), ("classes", f"{len(classes)}: {_some(list(classes))}"))
    return Reading(rows, {"photos": photos, "places": places, "classes": list(classes)}, tuple(notes))


def _facts_of(images: TaggedImages, root: str) -> dict[str, object]:
    return {
        "images": len(images),
        "images in": folder_of([sample.image for sample in images.samples], root),
        "tags from": images.tags_from,
        "without tags": _without_tags(images),
        "tags not known": _unknown(images),
        "masks": len(images.with_masks()),
        "masks from": _masks_from(images, root),
    }


def _text_of(images: TaggedImages, root: str) -> str:
    place = folder_of([sample.image for sample in images.samples], root)
    parts = [_count(len(images), "image") + (f" in {place}" if place else "")]
    unknown, empty, masks = _unknown(images), _without_tags(images), len(images.with_masks())
    if unknown < len(images):
        missing = f", {unknown} without any entry" if unknown else ""
        parts.append(f"tags from {images.tags_from}{missing}" + (f", {empty} without tags" if empty else ""))
    else:
        parts.append("no tags known")
    if masks:
        count = "a mask each" if masks == len(images) else f"{_count(masks, 'mask')}"
        parts.append(f"{count} from {_masks_from(images, root)}")
    return "; ".join(parts)


def _classes(images: TaggedImages, counts: list[int]) -> str:
    if _unknown(images) == len(images):
        return f"{len(images.classes)}: {_some(list(images.classes))}"
    return f"{len(counts)}: {_some([f'{n} {count}' for n, count in zip(images.classes, counts, strict=True)])} (images)"


def _some(names: list[str]) -> str:
    more = f" … and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _without_tags(images: TaggedImages) -> int:
    return sum(not sample.tags and sample.tags_known for sample in images.samples)


def _unknown(images: TaggedImages) -> int:
    return sum(not sample.tags_known for sample in images.samples)


def _masks_from(images: TaggedImages, root: str) -> str:
    """The folders of the masks; where they are no files, what the tags come from, which draws them."""
    masks = [sample for sample in images.samples if sample.mask is not None]
    files = [path for path in map(_mask_file, masks) if path is not None]
    return folder_of(files, root) if files else images.tags_from if masks else ""


def _mask_file(sample: Sample) -> Path | None:
    mask = getattr(sample.mask, "mask", sample.mask)  # within one whose ids are replaced
    path = getattr(mask, "path", None)
    return path if isinstance(path, Path) else None


def folder_of(files: list[Path], root: str) -> str:
    """``images/``, or ``a/, b/``: the folders directly below the root that hold the files; others in full."""
    base = os.path.expanduser(root)
    places: dict[str, None] = {}
    for folder in dict.fromkeys(os.path.dirname(file) for file in files):
        below = os.path.relpath(folder or os.curdir, base)
        places[os.path.join(folder if below.startswith(os.pardir) else below.split(os.sep)[0], "")] = None
    return list_some([place for place in places if place != os.path.join(os.curdir, "")])
