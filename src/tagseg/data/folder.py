"""The ``folder`` source: a folder of photos and a tag file beside it."""

from __future__ import annotations

from pathlib import Path

from tagseg.data.class_index import ClassIndex
from tagseg.data.class_list import class_list
from tagseg.data.config import DataConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.held_back import held_back
from tagseg.data.layout import ImageFolder, choose_folder, data_root
from tagseg.data.mask_files import FoundMasks, find_masks, possible_folders
from tagseg.data.masks_of_images import with_mask_files
from tagseg.data.names import fold, names_of
from tagseg.data.notes import Note
from tagseg.data.resolver import without_extension
from tagseg.data.tags import TagRow, TagTable, find_tag_file, read_tags, usual_tag_file
from tagseg.errors import NothingToScore, TagsegError


def folder(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """Load photos with a CSV or JSON file of tags (format: ``tags.read_tags``).

    - *Images* are in ``images/``, ``JPEGImages/`` or the root itself. *Masks* are optional: files named like their
      image, in ``masks/`` or ``SegmentationClass/`` (``mask_files.find_masks``), of class ids or of the colours of a
      list (``mask_survey.survey``).
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
    no_tag = names_of(config.no_tag)
    table = read_tags(find_tag_file(root, config.tags), listed.names, config.separator, no_tag)
    classes = listed.names or table.classes()
    photos = _photos(root, config, [row.image for row in table.rows])
    found = find_masks(root, config.masks, photos.photos)
    rows = _rows_of(table, config, split, photos, found)
    files, notes = photos.locate((row.image for row in rows), table.path.name, config.skip_missing)

    index = ClassIndex(classes, no_tag)
    samples = []
    for row in rows:
        if row.image in files:
            tags = index(row.labels, f"{row.image!r} ({table.path.name} {table.unit} {row.line})")
            samples.append(Sample(without_extension(files[row.image]), photos.folder / files[row.image], tags))
    if masks and found.why_none and split != config.train_split:
        raise NothingToScore(f"no image is scored: {found.why_none}")
    notes = (*listed.notes, *table.notes, *notes, *found.notes, *_unscored(table, config, found))
    images = TaggedImages(f"folder ({root}), split {split}", classes, tuple(samples), table.tags_from, notes)
    return with_mask_files(images, found.of, config, root) if masks else images


def _photos(root: Path, config: DataConfig, named_images: list[str]) -> ImageFolder:
    folder = choose_folder(root, config.images, ("images", "JPEGImages"), "--data.images") or root
    if folder != root:
        return ImageFolder(folder)
    named = {image.replace("\\", "/").split("/")[0] for image in named_images}  # photos may be in a folder labels/
    return ImageFolder(root, (path for path in possible_folders(root) if path.name not in named))


def _masks_alone(root: Path, config: DataConfig, split: str) -> TaggedImages:
    """All images with a mask, to be scored; what classes they are must be given."""
    listed = class_list(config.classes, root)
    photos = _photos(root, config, [])
    found = find_masks(root, config.masks, photos.photos)
    masked = [file for file in photos.photos.names if without_extension(file) in found.of]
    if not (listed.names and masked):
        find_tag_file(root, config.tags)  # raises the error that says what is missing
    samples = tuple(Sample(without_extension(f), photos.folder / f, (), tags_known=False) for f in masked)
    notes = (*listed.notes, *found.notes)
    images = TaggedImages(f"folder ({root}), split {split}", listed.names, samples, "", notes)
    return with_mask_files(images, found.of, config, root)


def _rows_of(table: TagTable, config: DataConfig, split: str, photos: ImageFolder, found: FoundMasks) -> list[TagRow]:
    known = f"the file has {len(table.rows)} rows"
    if table.has_splits:
        rows = [row for row in table.rows if row.split == split]
        rows = rows or [row for row in table.rows if fold(row.split) == fold(split)]
        present = ", ".join(f"{name} ({count})" for name, count in table.splits().items()) or "none"
        known = f"splits present: {present}"
    elif _takes_all(config):
        rows = list(table.rows)
    else:
        kept = _kept_for_scoring(table, photos, found)
        if split == config.val_split and not kept:
            if found.why_none:
                raise NothingToScore(f"no image is scored, and all train: {found.why_none}")
            raise NothingToScore(
                f"{table.path.parent} has no masks and {table.path.name} no split column, so all images train and none "
                "is scored: add masks/ to have a fifth of them kept for that"
            )
        of_split = {config.train_split: False, config.val_split: True}
        rows = [row for row in table.rows if split in of_split and (row.image in kept) == of_split[split]]
        known = f"{known} and no split column, which gives {config.train_split} about 80 %"
    if not rows:
        raise TagsegError(
            f"{table.path} has no image in split {split!r}; {known}: set --data.train_split or .val_split"
        )
    return rows


def _takes_all(config: DataConfig) -> bool:
    return config.train_split == config.val_split or not config.val_split


def _kept_for_scoring(table: TagTable, photos: ImageFolder, found: FoundMasks) -> set[str]:
    """Images, as the rows name them, that are kept for scoring: a fifth of those with masks."""
    matches = ((row.image, photos.find(row.image)) for row in table.rows) if found.of else ()
    masked = [image for image, match in matches if match and without_extension(match.file) in found.of]
    return {image for image, held in zip(masked, held_back(masked), strict=True) if held}


def _unscored(table: TagTable, config: DataConfig, found: FoundMasks) -> tuple[Note, ...]:
    """A folder of masks that is of no use."""
    if not found.why_none:
        return ()
    all_train = "" if table.has_splits or _takes_all(config) else ", so all images train"
    return (Note(f"no image has a mask{all_train}, and none is scored: {found.why_none}", warning=True),)
