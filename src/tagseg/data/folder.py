"""The ``folder`` source: a folder of photos and a tag file beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tagseg.data.class_index import ClassIndex
from tagseg.data.class_list import ClassList, class_list
from tagseg.data.config import DataConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.inside import Inside
from tagseg.data.layout import ImageFolder, choose_folder, data_root, files_elsewhere
from tagseg.data.mask_files import find_masks, possible_folders
from tagseg.data.masks_of_images import with_mask_files
from tagseg.data.names import names_of
from tagseg.data.notes import Note
from tagseg.data.resolver import without_extension
from tagseg.data.rows_of_split import rows_of_split, unscored
from tagseg.data.tags import TagRow, TagTable, find_tag_file, read_tags, usual_tag_file
from tagseg.errors import NothingToScore, TagsegError

IMAGES = ("images", "JPEGImages")
"""Usual names of the folder of the images."""


def folder(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """Load photos with a CSV or JSON file of tags (format: ``tags.read_tags``).

    - *Images* are in ``images/``, ``JPEGImages/`` or the root itself, or wherever absolute paths in the file say.
    - *Masks* are optional: files named like their image, in ``masks/`` or ``SegmentationClass/``
      (``mask_files.find_masks``), of class ids or of the colours of a list (``mask_survey.survey``).
    - *Splits* are the file's ``split`` column. Without one, a hash of the name puts a fifth of the images that have a
      mask (at least one) into validation: the same ones each time, whatever images are added or removed. If none has a
      mask, all images are for training. If both splits have the same name, or there is no validation split, all are
      loaded.
    - *Classes*: from the settings, else ``classes.txt`` in the root, else all tags of the file, in natural order.
    - An image without tags is valid: it is all background.
    - Without a tag file, if masks are asked for, there are and classes are given: all images with a mask, tags unknown.

    Args:
        config: the data settings; ``root``, ``tags``, ``separator``, ``no_tag``, ``images``, ``masks``, ``colours``,
            ``classes``, ``skip_missing`` apply.
        split: name of the split.
        masks: whether samples can read their masks.

    Raises:
        TagsegError: a folder or file is absent or malformed, an image absent, a tag unknown, or the split empty.
        NothingToScore: validation images are asked for, but none has a mask, or nothing says which they are.
    """
    root = data_root(config.root)
    if masks and config.tags == "auto" and usual_tag_file(root) is None:
        return _masks_alone(root, config, split)
    listed = class_list(config.classes, root)
    path = find_tag_file(root, config.tags)
    table = read_tags(path, listed.names, config.separator, names_of(config.no_tag), config.column)
    return images_of_table(config, split, table, listed, masks=masks)


def images_of_table(
    config: DataConfig, split: str, table: TagTable, listed: ClassList, *, masks: bool, places: tuple[str, ...] = IMAGES
) -> TaggedImages:
    """The images of a table of tags, wherever it was read from; all else is as in ``folder``.

    Args:
        config: the data settings.
        split: name of the split.
        table: the tags of each image.
        listed: the class list of the settings or the root; if it has no names, the classes are all tags of the table.
        masks: whether samples can read their masks.
        places: usual names of the folder of the images, the first that exists counts.

    Raises:
        TagsegError: as ``folder``.
        NothingToScore: as ``folder``.
    """
    root, no_tag = data_root(config.root), names_of(config.no_tag)
    classes = listed.names or table.classes()
    photos = _photos(root, config, table.rows, places, f"{table.name} {table.unit}")
    found = find_masks(root, config.masks, photos.photos)
    rows = rows_of_split(table, config, split, photos, found)
    files, notes = photos.locate((row.image for row in rows), table.name, config.skip_missing)

    index = ClassIndex(classes, no_tag)
    samples = []
    for row in rows:
        if row.image in files:
            tags = index(row.labels, f"{row.image!r} ({table.name} {table.unit} {row.line})")
            samples.append(Sample(without_extension(files[row.image]), photos.folder / files[row.image], tags))
    if masks and found.why_none and split != config.train_split:
        raise NothingToScore(f"no image is scored: {found.why_none}")
    notes = (*listed.notes, *table.notes, *notes, *_unnamed(table, photos), *found.notes)
    notes = (*notes, *unscored(table, config, found))
    images = TaggedImages(f"folder ({root}), split {split}", classes, tuple(samples), table.tags_from, notes)
    return with_mask_files(images, found.of, config, root) if masks else images


def _unnamed(table: TagTable, photos: ImageFolder) -> tuple[Note, ...]:
    """The photos that no row means, of whatever split."""
    named: set[str] = set()
    for row in table.rows:
        with suppress(TagsegError):  # a row of another split, whose name could be two photos, is told where it is read
            match = photos.find(row.image)
            named.update([match.file] if match else [])
    others = [name for name in photos.photos.names if name not in named]
    return Note.of(f"photos of {photos.folder} that {table.name} does not name, left out", others)


def _photos(
    root: Path, config: DataConfig, rows: Sequence[TagRow], places: tuple[str, ...] = IMAGES, table: str = ""
) -> ImageFolder:
    named_images, inside = [row.image for row in rows], Inside.of(config, root)
    folder = choose_folder(root, config.images, places, "--data.images") or root
    listed = files_elsewhere(named_images, folder)
    if listed is not None:
        _refuse_outside(rows, inside, table)
        return listed
    if folder != root:
        return ImageFolder(folder, inside=inside)
    named = {image.replace("\\", "/").split("/")[0] for image in named_images}  # photos may be in a folder labels/
    return ImageFolder(root, (path for path in possible_folders(root) if path.name not in named), inside=inside)


def _refuse_outside(rows: Sequence[TagRow], inside: Inside | None, table: str) -> None:
    """Raise ``TagsegError`` for the first row whose image is elsewhere on this machine, unless that is allowed."""
    there = {Path(row.image): row for row in rows if os.path.isfile(row.image)}
    first = None if inside is None else inside.first_outside(there)
    if inside is not None and first is not None:
        inside.check(first, f"{table} {there[first].line}")


def _masks_alone(root: Path, config: DataConfig, split: str) -> TaggedImages:
    """All images with a mask, to be scored; what classes they are must be given."""
    listed = class_list(config.classes, root)
    photos = _photos(root, config, ())
    found = find_masks(root, config.masks, photos.photos)
    masked = [file for file in photos.photos.names if without_extension(file) in found.of]
    if not (listed.names and masked):
        find_tag_file(root, config.tags)  # raises the error that says what is missing
    samples = tuple(Sample(without_extension(f), photos.folder / f, (), tags_known=False) for f in masked)
    notes = (*listed.notes, *found.notes)
    images = TaggedImages(f"folder ({root}), split {split}", listed.names, samples, "", notes)
    return with_mask_files(images, found.of, config, root)
