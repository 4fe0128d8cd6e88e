"""The ``class_folders`` source: ``PHOTOS/CLASS/photo.jpg``, maybe with ``train/`` and ``val/`` above the classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tagseg.data.class_folder_layout import ClassFolders, FolderNames, described, find_class_folders
from tagseg.data.class_folder_masks import find_class_folder_masks
from tagseg.data.class_index import ClassIndex, one_spelling
from tagseg.data.class_list import class_list
from tagseg.data.coco_layout import usual_name
from tagseg.data.config import DataConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.layout import ImageFolder, choose_folder, data_root
from tagseg.data.listing import Photos
from tagseg.data.mask_files import FoundMasks
from tagseg.data.masks_of_images import with_mask_files
from tagseg.data.names import names_of
from tagseg.data.notes import Note
from tagseg.data.resolver import without_extension
from tagseg.data.rows_of_split import rows_of_split, unscored
from tagseg.data.same_photos import joined
from tagseg.data.tags import TagRow, TagTable
from tagseg.errors import NothingToScore, TagsegError, list_some

TAGS_FROM = "the names of the folders"
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".xlsx")


def class_folders(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """Load photos from a folder for each class; folders in a class folder belong to the class.

    - *Splits*: folders ``train``, ``val``, ``test`` (or other usual names) above the class folders; without them as in
      ``folder``: a fifth of the images with a mask is kept for validation.
    - *Images of nothing* are in folders such as ``good``, ``background``, ``none`` (``names.is_nothing_folder``) or
      those of ``no_tag``, unless the class list names them. Folders such as ``unlabeled`` are left out.
    - *Several tags*: a photo with the same bytes in several class folders of a split is one with all their tags.
    - *Masks* as in ``folder``, in ``masks/`` with the same sub-folders; or in a folder of masks in each class folder,
      or beside the photo (``photo_mask.png``). None of them is taken for a photo.

    Args:
        config: the data settings; ``root``, ``images``, ``masks``, ``colours``, ``classes``, ``no_tag`` apply.
        split: name of the split.
        masks: whether samples can read their masks.

    Raises:
        TagsegError: there are no class folders, one is not in the class list, two photos have one name, the split is
            empty, or training images are asked for and none shows a class.
        NothingToScore: validation images are asked for, but none has a mask, or there is no folder of that split.
    """
    root = data_root(config.root)
    choose_folder(root, config.images, (), "--data.images")
    listed = class_list(config.classes, root)
    names = FolderNames(listed.names, names_of(config.no_tag))
    found = find_class_folders(root, config)
    table = _table(root, found, names)
    classes = listed.names or table.classes()
    photos = Photos(found.base, tuple(sorted(row.image for row in table.rows)), inside=found.inside)
    found_masks = find_class_folder_masks(root, config.masks, found, photos)
    table, same = joined(table, found.base)
    found_masks = replace(found_masks, of=same.masks(found_masks.of))
    rows = _rows(table, config, split, ImageFolder(found.base, photos=photos), found_masks)

    index = ClassIndex(classes, names.no_tag)
    samples = tuple(
        Sample(without_extension(row.image), found.base / row.image, index(row.labels, f"{row.image!r} ({TAGS_FROM})"))
        for row in rows
    )
    if masks and found_masks.why_none and split != config.train_split:
        raise NothingToScore(f"no image is scored: {found_masks.why_none}")
    notes = (*listed.notes, *table.notes, *same.notes, *found_masks.notes, *unscored(table, config, found_masks))
    images = TaggedImages(
        f"class folders ({root}), split {split}", classes, samples, TAGS_FROM, notes, described(found, names)
    )
    return with_mask_files(images, found_masks.of, config, root) if masks else images


def _table(root: Path, found: ClassFolders, names: FolderNames) -> TagTable:
    """A row for each photo, in the order of their names, and notes on what the folders were taken for."""
    meanings = {name: names.meaning(name) for name in found.folders}
    tagged = {file: place for file, place in found.folder_of.items() if meanings[place[1]] != "untagged"}
    if not tagged:
        there = f" (it has {list_some([f'{name}/' for name in found.apart])})" if found.apart else ""
        raise TagsegError(
            f"{root} has no photos in class folders{there}, expected a folder for each class, e.g. "
            f"{root / 'cat' / '1.jpg'}: set --data.root or --data.images"
        )
    _refuse_equal_names(tagged, found.base)
    labels = {file: (name,) if meanings[name] == "class" else () for file, (_, name) in tagged.items()}
    name_of, spellings = one_spelling(labels.values()) if not names.known else ({}, ())
    rows = tuple(
        TagRow(file, tuple(name_of.get(name, name) for name in labels[file]), split, 0)
        for file, (split, _) in sorted(tagged.items())
    )
    tables = sorted(path.name for path in root.iterdir() if path.suffix.lower() in _TABLES and path.is_file())
    unread = Note.of("tables beside the class folders, not read: to read one instead, set --data.tags to it", tables)
    notes = (*_notes(found, names), *unread, *spellings)
    return TagTable(found.base, rows, TAGS_FROM, bool(found.splits), "folder", notes)


def _refuse_equal_names(files: dict[str, tuple[str, str]], base: Path) -> None:
    taken: dict[str, str] = {}
    for file in files:
        other = taken.setdefault(without_extension(file), file)
        if other != file:
            raise TagsegError(
                f"{base} has {other} and {file}, which share the name {without_extension(file)!r}, expected one image "
                "a name (results are stored under it): rename or remove one"
            )


def _notes(found: ClassFolders, names: FolderNames) -> tuple[Note, ...]:
    notes: list[Note] = []
    files_of: dict[str, list[str]] = {}
    for file, (_, name) in found.folder_of.items():
        files_of.setdefault(name, []).append(file)
    for folder, files in sorted(files_of.items()):
        meaning = names.meaning(folder)
        if meaning == "nothing":
            text = f"photos in {folder}/, read as images of nothing: if that is a class, list all in --data.classes"
            notes += Note.of(text, files)
        elif meaning == "untagged":
            notes += Note.of(f"photos in {folder}/, which nobody tagged by its name: left out", files, True)
    kinds = sorted(found.left_out.items(), key=lambda item: item[0].plural)
    return (
        *notes,
        *Note.of("photos in no class folder, left out", found.loose, True),
        *Note.of("class folders without a photo, left out", found.empty, True),
        *Note.of("folders in class folders taken for masks, not for photos", found.mask_folders),
        *Note.of("files named like a photo and a mask, not taken for photos", found.beside),
        *Note.of(
            "folders taken for masks or results, not for classes (--data.masks none: no masks)",
            [f"{name}/" for name in found.apart if name != "masks"],
        ),
        *(note for kind, left in kinds for note in Note.of(f"{kind.plural}, left out", left, kind.photo)),
    )


def _rows(table: TagTable, config: DataConfig, split: str, photos: ImageFolder, found: FoundMasks) -> list[TagRow]:
    """The rows of a split.

    Raises:
        TagsegError: the split is empty, or is to be trained on and shows no class.
        NothingToScore: it is for validation, and there is no such folder.
    """
    present = ", ".join(f"{name} ({count})" for name, count in table.splits().items())
    usual = {usual_name(name) for name in table.splits()}
    if table.has_splits and split == config.val_split and usual_name(split) not in usual:
        raise NothingToScore(
            f"{table.path} has no folder {split}, so nothing is scored; splits present: {present}: --data.val_split "
            "names another"
        )
    rows = rows_of_split(table, config, split, photos, found, "no folders train/ and val/")
    if split == config.train_split and not any(row.labels for row in rows):
        tagged = list(dict.fromkeys(row.split for row in table.rows if row.labels))
        way_out = f"train on another with --data.train_split {tagged[0]}" if tagged else "add class folders"
        raise TagsegError(
            f"{table.path} has {len(rows)} photos in {split}/, all of them images of nothing, expected photos of the "
            f"classes: {way_out}"
        )
    return rows
