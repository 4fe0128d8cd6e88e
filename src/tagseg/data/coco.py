"""The ``coco`` source: tags and masks from COCO's JSON, as COCO and other tools lay it out, without any conversion."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tagseg.data.class_list import class_list
from tagseg.data.coco_categories import label_categories
from tagseg.data.coco_checks import Scored, check_counted, check_places
from tagseg.data.coco_file import CocoFile, CocoImage, annotated_categories, read_coco_file
from tagseg.data.coco_layout import choose_images, find_annotations, find_layout
from tagseg.data.coco_mask import CocoMask, CocoObject
from tagseg.data.coco_values import Key
from tagseg.data.config import DataConfig
from tagseg.data.dataset import IGNORE, Sample, TaggedImages
from tagseg.data.frames import Annotated, Frames, decide_frames
from tagseg.data.held_back import held_back
from tagseg.data.inside import Inside
from tagseg.data.layout import data_root, locate
from tagseg.data.names import names_of
from tagseg.data.notes import Note
from tagseg.data.resolver import without_extension
from tagseg.errors import NothingToScore, TagsegError


def coco(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """Load a split of data in COCO's format (layouts: ``coco_layout``; what is read how: docs/data.md).

    - *Tags* are the categories annotated in the image, crowd regions included: a crowd shows people, so "no person"
      would be a wrong label. Only scoring ignores the pixels of crowds.
    - *Classes* are all categories by ascending id (COCO's ids have gaps: 1 to 90 become labels 1 to 80), or those of
      the settings, in their order; objects of other categories are then background.
    - *Masks* are drawn on reading (``CocoMask``).
    - *Splits* have a file each. Of a file that holds all, a fifth of the images is kept for scoring, as in ``folder``.

    Args:
        config: the data settings; ``root``, ``tags`` (the file), ``images``, ``masks``, ``classes``, ``skip_missing``,
            ``crowd``, ``frame`` and ``contradictions`` apply.
        split: ``train2014``, ``val2017`` ...
        masks: whether samples can read their masks; otherwise no outline is kept in memory.

    Raises:
        TagsegError: a file or folder is absent or malformed, or could be read in two ways.
        NothingToScore: masks are asked for, and no object is counted in scoring.
    """
    root = data_root(config.root)
    masks = _wants_masks(config, masks)
    path, whole = find_annotations(config, root, split)
    file = read_coco_file(path, masks)
    listed = class_list(config.classes, root)
    labels = label_categories(file, listed.names, lambda: _annotated_elsewhere(root, path), names_of(config.no_tag))
    entries = _of_split(file, config, split) if whole else file.images
    if not entries:
        raise TagsegError(f"{path} lists no image for split {split!r}, expected one at least: choose another split")

    names = [entry.file for entry in entries]
    is_part = len(entries) < len(file.images)
    folder = choose_images(config, root, path, split, names)
    files, located = locate(names, folder, path.name, config.skip_missing, Inside.of(config, root))
    entries = [entry for entry in entries if entry.file in files]
    paths = [folder / files[entry.file] for entry in entries]
    notes = (*_found(root, path, folder, is_part), *file.notes, *listed.notes, *labels.notes, *located)
    frames = Frames("displayed", "displayed")
    count_crowds = config.crowd == "objects"
    if masks:
        frames, checked = _check(config, Scored(path, entries, labels.classes, labels.label_of, count_crowds), paths)
        notes += checked
    samples = tuple(
        Sample(
            without_extension(files[entry.file]),
            image,
            _tags(entry, labels.label_of),
            CocoMask(image, entry.size, _objects(entry, labels.label_of, count_crowds), frames) if masks else None,
        )
        for entry, image in zip(entries, paths, strict=True)
    )
    return TaggedImages(f"coco ({root}), split {split}", labels.classes, samples, path.name, notes)


def _wants_masks(config: DataConfig, masks: bool) -> bool:
    if config.masks not in ("auto", "none"):
        raise TagsegError(
            f"--data.masks is {config.masks!r}, expected auto or none: COCO's masks come from its annotations; "
            "remove it, or use --data.source folder"
        )
    return masks and config.masks == "auto"


def _annotated_elsewhere(root: Path, path: Path) -> frozenset[Key]:
    others = (other for other in find_layout(root).files if other != path)
    return frozenset().union(*(annotated_categories(other) for other in others))


def _of_split(file: CocoFile, config: DataConfig, split: str) -> Sequence[CocoImage]:
    """The images of a split, where the file holds all."""
    if config.train_split == config.val_split or not config.val_split or not file.images:
        return file.images
    scored = split == config.val_split
    countable = file.outlined if config.crowd == "objects" else file.outlined - {True}
    if config.masks == "none" or not countable:
        if scored:
            crowds = "but of crowd regions (count them with --data.crowd objects) " if file.outlined else ""
            raise NothingToScore(
                f"{file.path} has no outlines {crowds}and no splits: all its images train, none is scored"
            )
        return file.images
    kept = held_back([image.file for image in file.images])
    return [image for image, is_kept in zip(file.images, kept, strict=True) if is_kept == scored]


def _found(root: Path, path: Path, folder: Path, is_part: bool) -> tuple[Note, ...]:
    """Where annotations and images were found, unless it is COCO's own layout."""
    file, images = (Path(os.path.relpath(place, root)).as_posix() for place in (path, folder))
    split = path.stem.removeprefix("instances_")
    if file == f"annotations/instances_{split}.json" and images in (split, f"images/{split}") and not is_part:
        return ()
    one = ", one file for all splits, of whose images a fifth is kept for scoring" if is_part else ""
    return (Note(f"annotations are in {file}{one}; images in {'the root' if images == '.' else images + '/'}"),)


def _check(config: DataConfig, scored: Scored, paths: list[Path]) -> tuple[Frames, tuple[Note, ...]]:
    placed = check_places(scored)
    photos = [Annotated(path, image.size, _reach(image)) for path, image in zip(paths, scored.images, strict=True)]
    frames, turned = decide_frames(config.frame, photos)
    return frames, (*placed, *turned, *check_counted(scored, stop=config.contradictions == "stop"))


def _reach(image: CocoImage) -> tuple[float, float] | None:
    extents = [each.extent for each in image.annotations if each.extent is not None]
    return (max(e[3] for e in extents), max(e[2] for e in extents)) if extents else None


def _objects(image: CocoImage, label_of: dict[Key, int], count_crowds: bool) -> tuple[CocoObject, ...]:
    """The objects of the chosen classes, and those to be ignored."""
    return tuple(
        CocoObject(IGNORE if each.crowd and not count_crowds else label, each.outline, each.extent, each.key)
        for each in image.annotations
        if (label := label_of.get(each.category, 0))
    )


def _tags(image: CocoImage, label_of: dict[Key, int]) -> tuple[int, ...]:
    labels = {label_of.get(each.category, 0) for each in image.annotations}
    return tuple(sorted(label - 1 for label in labels if 0 < label < IGNORE))
