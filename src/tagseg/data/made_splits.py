"""Splits that the data do not have themselves: made of the training images by a share, or listed in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.near_duplicates import image_hashes, near_duplicates
from tagseg.data.notes import Note
from tagseg.data.same_content import same_content
from tagseg.data.split_list import counted, matched, read_splits
from tagseg.data.splits import split as divide
from tagseg.errors import TagsegError

NO_LIST = ("", "none")
"""Values of ``--data.splits`` that name no file."""

Images = Callable[..., TaggedImages]
"""A source: from settings, the name of a split and ``masks`` to its images."""


def are_made(config: DataConfig) -> bool:
    """Whether the settings ask for other splits than those of the data."""
    return config.val_share > 0 or config.splits not in NO_LIST


def images_of_split(source: Images, config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """One split of a source, its own or one that the settings ask for.

    With ``splits``, a file, or ``val_share`` the images that the source has for training (all, if it has no splits) are
    divided; other splits of the source stay. The file counts where both are set.

    Args:
        source: of ``sources.SOURCES``.
        config: the data settings.
        split: the name.
        masks: whether samples can read their masks.

    Raises:
        TagsegError: as the source, the list is malformed or lacks the split, or it has none of the images.
    """
    ours = {config.train_split, config.val_split, *_listed(config).values()} if are_made(config) else set()
    if split not in ours or not split:
        return source(config, split, masks=masks)
    images, splits, notes = _divided(source, config, masks)
    samples = tuple(sample for sample in images.samples if splits.get(sample.name) == split)
    if not samples:
        where = images.source if config.splits in NO_LIST else config.splits
        raise TagsegError(
            f"{where} has no image in split {split!r}; it has {counted(splits)}: set --data.train_split or .val_split"
        )
    name = images.source.rpartition(f"split {config.train_split}")[0]
    named = f"{name}split {split}" if name else f"{images.source}, split {split}"
    return replace(images, source=named, samples=samples, notes=(*images.notes, *notes))


def split_of_each(source: Images, config: DataConfig) -> dict[str, str]:
    """The split of each image, by name, as the settings ask for; only where they do.

    Raises:
        TagsegError: as ``images_of_split``.
    """
    return _divided(source, config, masks=False)[1]


def _listed(config: DataConfig) -> dict[str, str]:
    """The list of the settings, if there is one."""
    return {} if config.splits in NO_LIST else read_splits(Path(config.splits).expanduser())


def _divided(source: Images, config: DataConfig, masks: bool) -> tuple[TaggedImages, dict[str, str], tuple[Note, ...]]:
    """All images that are divided, the split of each, and what is to be said of it."""
    whole, listed = replace(config, val_split="", val_share=0.0, splits=""), _listed(config)
    images = source(whole, config.train_split, masks=masks)
    if listed:
        return images, *matched(listed, [sample.name for sample in images.samples], Path(config.splits))
    if config.train_split == config.val_split or not config.val_split:
        raise TagsegError(
            f"data.val_share is {config.val_share}, but the validation split is {config.val_split!r}, expected another "
            f"name than that of training: set --data.val_split val"
        )
    return images, *_made(images if masks else _with_masks(source, whole, config.train_split), config)


def _made(images: TaggedImages, config: DataConfig) -> tuple[dict[str, str], tuple[Note, ...]]:
    """The splits by a share: of the images with a mask, where only some have one, as only they can be scored."""
    masked = [index for index, sample in enumerate(images.samples) if sample.mask is not None]
    divided = masked or list(range(len(images)))
    shares = {config.train_split: 1 - config.val_share, config.val_split: config.val_share}
    groups, notes = _copies(images, max(2.0, config.val_share * len(divided)))
    place = {index: number for number, index in enumerate(divided)}
    samples = [images.samples[index] for index in divided]
    splits = dict(
        _division(
            tuple(sample.name for sample in samples),
            tuple(sample.tags for sample in samples),
            tuple(shares.items()),
            config.split_seed,
            tuple(tuple(place[index] for index in group if index in place) for group in groups),
        )
    )
    names = [sample.name for sample in images.samples]
    held_back = {
        index for group in groups if any(splits.get(names[i]) == config.val_split for i in group) for index in group
    }
    for index, name in enumerate(names):
        splits.setdefault(name, config.val_split if index in held_back else config.train_split)
    of = "" if len(divided) == len(images) else f" of the {len(divided)} with a mask"
    text = (
        f"splits made of {len(images)} images: {counted(splits)}; {config.val_share:.4g}{of} by --data.val_share, with "
        f"each tag in about this proportion, seed {config.split_seed}"
    )
    return splits, (Note(text), *notes)


@lru_cache(maxsize=1)  # of the same images for each split
def _division(
    names: tuple[str, ...],
    tags: tuple[tuple[int, ...], ...],
    shares: tuple[tuple[str, float], ...],
    seed: int,
    groups: tuple[tuple[int, ...], ...],
) -> dict[str, str]:
    """The split of each image that is divided, by name."""
    matrix = np.zeros((len(names), 1 + max(map(max, filter(None, tags)), default=-1)), bool)
    for row, shown in zip(matrix, tags, strict=True):
        row[list(shown)] = True
    return divide(names, matrix, dict(shares), seed, groups)


def _with_masks(source: Images, whole: DataConfig, split: str) -> TaggedImages:
    """The images, with masks where these can be had; what is wrong with masks is told when they are scored."""
    try:
        return source(whole, split, masks=True)
    except TagsegError:
        return source(whole, split, masks=False)


def _copies(images: TaggedImages, most: float) -> tuple[list[list[int]], tuple[Note, ...]]:
    """Groups of near-duplicates; of equal files alone, where so many look alike that no split could be made of them."""
    files = tuple(sample.image for sample in images.samples)
    groups = _near_groups(files, tuple(map(_written, files)))
    largest = max(map(len, groups), default=0)
    names = [images.samples[index].name for group in groups for index in group]
    if largest <= most:
        return groups, Note.of(
            f"images are near-duplicates of others ({len(groups)} group{'s' * (len(groups) > 1)}), kept in one split",
            names,
        )
    text = (
        f"{largest} images look so alike that they would be one group of near-duplicates: only equal files are kept in "
        "one split, and scores may be too good where photos of one scene are in both"
    )
    return same_content(files), (Note(text, warning=True),)


@lru_cache(maxsize=1)  # the splits are loaded one after the other
def _near_groups(files: tuple[Path, ...], written: tuple[int, ...]) -> list[list[int]]:
    """Near-duplicates among files that can be read; ``written`` tells when they were, so that others are looked at."""
    hashes, readable = image_hashes(files)
    index = np.flatnonzero(readable)
    return [[int(index[member]) for member in group] for group in near_duplicates(hashes[index])]


def _written(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
