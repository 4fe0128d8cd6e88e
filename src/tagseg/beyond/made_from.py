"""What label maps were made from, written beside them: those of which something changed are made anew."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.images import READING
from tagseg.data.json_text import parse_json
from tagseg.errors import list_some
from tagseg.files import replacing

FILE = "made_from.json"
"""Name of the record in the folder of the label maps."""

logger = logging.getLogger("tagseg")

Facts = dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """What label maps are made from.

    Attributes:
        common: what all of them depend on, by what it is called in messages: ``classes``, ``settings``, ``weights``.
        photos: each photo's tags and size of its file in bytes, by name.
    """

    common: Facts
    photos: dict[str, Facts]

    @classmethod
    def of(cls, images: TaggedImages, weights: str, settings: Facts) -> Origin:
        """The origin of label maps of some images, made with these weights and settings."""
        common = {"classes": list(images.classes), "settings": {**settings, "reading": READING}, "weights": weights}
        return cls(common, {sample.name: _facts(sample, images.classes) for sample in images.samples})

    def outdated(self, folder: Path, has_label: Callable[[str], bool]) -> Outdated:
        """Which of the label maps in a folder were made from something else."""
        there = {name for name in self.photos if has_label(name)}
        record = _read(folder)
        if record is None:
            return Outdated(there, "no record says what the label maps were made from" if there else "")
        changed = [what for what, value in self.common.items() if value and _differs(record["common"].get(what), value)]
        if changed and there:
            return Outdated(there, f"{' and '.join(changed)} changed since the label maps were made")
        tags = [name for name in there if record["photos"].get(name, {}).get("tags") != self.photos[name]["tags"]]
        files = [
            name for name in there - set(tags) if record["photos"][name].get("bytes") != self.photos[name]["bytes"]
        ]
        reasons = [
            f"{what} of {len(names)} photo{'s' * (len(names) > 1)} changed ({list_some(sorted(names))})"
            for what, names in (("tags", tags), ("the file", files))
            if names
        ]
        return Outdated({*tags, *files}, " and ".join(reasons))

    def write(self, folder: Path, without: Iterable[str] = ()) -> None:
        """Record the origin of the label maps in a folder, but not of some that are about to be made.

        Raises:
            TagsegError: the folder cannot be written.
        """
        photos = {name: facts for name, facts in self.photos.items() if name not in set(without)}
        with replacing(folder / FILE) as temporary:
            temporary.write_text(json.dumps({"common": self.common, "photos": photos}, ensure_ascii=False), "utf-8")


@dataclass(frozen=True)
class Outdated:
    """Label maps that do not belong to the images any more, and why."""

    names: set[str]
    reason: str

    def tell(self) -> None:
        """Say that they are made anew."""
        if self.names:
            logger.info("%s: %s made anew", self.reason, "its label map is" if len(self.names) == 1 else
                        "their label maps are")  # fmt: skip


def _facts(sample: Sample, classes: tuple[str, ...]) -> Facts:
    try:
        size = sample.image.stat().st_size
    except OSError:  # told where the image is read
        size = -1
    return {"tags": [classes[tag] for tag in sample.tags], "bytes": size}


def _differs(recorded: object, now: object) -> bool:
    return recorded != json.loads(json.dumps(now))


def _read(folder: Path) -> dict[str, Any] | None:
    """The record in a folder; none where there is none, or a damaged one."""
    try:
        record = parse_json((folder / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    fits = isinstance(record, dict) and all(isinstance(record.get(key), dict) for key in ("common", "photos"))
    return record if fits else None
