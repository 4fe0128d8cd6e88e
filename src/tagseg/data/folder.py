"""The ``folder`` source: a folder of photos and a tag file beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tagseg.data.config import DataConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.layout import FileIndex, choose_file, choose_folder, data_root, locate, without_extension
from tagseg.data.masks import PngMask
from tagseg.data.tags import ClassIndex, TagRow, TagTable, class_list, read_tags
from tagseg.errors import NothingToScore, TagsegError

TAG_FILES = ("labels.csv", "tags.csv", "labels.jsonl", "tags.jsonl")
"""File names that are tried for the tag file, in this order."""

_VAL_SHARE = 0.2


def folder(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """Load photos with a CSV or JSON-lines file of tags (format: ``tags.read_tags``).

    - *Images* are in ``images/``, ``JPEGImages/`` or the root itself. *Masks* are optional: PNG files named like their
      image, in ``masks/`` or ``SegmentationClass/``.
    - *Splits* are the file's ``split`` column. Without one, a hash of the name puts a fifth of the images (at least
      one) into validation: the same ones each time, whatever images are added or removed. Without a folder of masks
      all images are for training. If both splits have the same name, or there is no validation split, all are loaded.
    - *Classes*: from the settings, else ``classes.txt`` in the root, else all tags of the file, sorted.
    - An image without tags is valid: it is all background.

    Args:
        config: the data settings; ``root``, ``tags``, ``images``, ``masks``, ``classes``, ``skip_missing`` apply.
        split: name of the split.
        masks: whether samples can read their masks.

    Raises:
        TagsegError: a folder or file is absent or malformed, an image absent, a tag unknown, or the split empty.
        NothingToScore: the validation split is asked for, but there are neither masks nor a split column.
    """
    root = data_root(config.root)
    table = read_tags(_tag_file(root, config.tags))
    classes = class_list(config.classes, root) or table.classes()
    mask_folder = _mask_folder(root, config)
    rows = _rows_of(table, config, split, has_masks=mask_folder is not None)

    images = choose_folder(root, config.images, ("images", "JPEGImages"), "--data.images") or root
    files = locate((row.image for row in rows), images, table.path.name, config.skip_missing)
    mask_of = _MaskFinder(mask_folder, len(classes)) if masks and mask_folder else None

    index = ClassIndex(classes)
    samples = []
    for row in rows:
        if row.image not in files:
            continue
        image = images / files[row.image]
        name = without_extension(files[row.image])
        tags = index(row.labels, f"{row.image!r} ({table.path.name} line {row.line})")
        samples.append(Sample(name, image, tags, mask_of(name, image) if mask_of else None))
    return TaggedImages(f"folder ({root}), split {split}", classes, tuple(samples), table.tags_from)


def _tag_file(root: Path, setting: str) -> Path:
    if setting != "auto":
        return choose_file(root, setting, "--data.tags")
    for name in TAG_FILES:
        if (root / name).is_file():
            return root / name
    names = ", ".join(TAG_FILES)
    raise TagsegError(
        f"{root} has no tag file, expected one of {names} with the columns image,labels "
        "('photo1.jpg,cat;dog'): add one, or set --data.tags"
    )


def _rows_of(table: TagTable, config: DataConfig, split: str, has_masks: bool) -> list[TagRow]:
    everything = config.train_split == config.val_split or not config.val_split
    if table.has_splits:
        rows = [row for row in table.rows if row.split == split]
        present = ", ".join(f"{name} ({count})" for name, count in table.splits().items()) or "none"
        known = f"splits present: {present}"
    elif everything or (split == config.train_split and not has_masks):
        rows = list(table.rows)
        known = "the file has no rows"
    elif split == config.val_split and not has_masks:
        raise NothingToScore(
            f"{table.path.parent} has no masks and {table.path.name} no split column, so all images train and none is "
            "scored: add masks/ to have a fifth of them kept for that"
        )
    else:
        rows = _hashed_rows(table, split, {config.train_split: False, config.val_split: True})
        known = f"the file has {len(table.rows)} rows and no split column, which gives {config.train_split} about 80 %"
    if not rows:
        raise TagsegError(
            f"{table.path} has no image in split {split!r}; {known}: set --data.train_split or .val_split"
        )
    return rows


def _hashed_rows(table: TagTable, split: str, is_val: dict[str, bool]) -> list[TagRow]:
    if split not in is_val or not table.rows:
        return []
    places = [_place(row.image) for row in table.rows]
    limit = max(_VAL_SHARE, min(places))
    return [row for row, place in zip(table.rows, places, strict=True) if (place <= limit) == is_val[split]]


def _place(name: str) -> float:
    """A number from 0 to 1 that depends on the name alone, on every machine."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big") / 2**32


class _MaskFinder:
    """Finds the mask of an image; ``None`` if there is none."""

    def __init__(self, folder: Path, classes_count: int) -> None:
        self._index = FileIndex(folder, (".png",))
        self._classes_count = classes_count

    def __call__(self, name: str, image: Path) -> PngMask | None:
        file = self._index.find(name)
        return PngMask(self._index.folder / file, image, self._classes_count) if file else None


def _mask_folder(root: Path, config: DataConfig) -> Path | None:
    if config.masks == "none":
        return None
    return choose_folder(root, config.masks, ("masks", "SegmentationClass"), "--data.masks")
