"""The photos to label: those of both splits whose tags are known."""

from __future__ import annotations

from dataclasses import replace

from tagseg.data import sources
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.notes import Note
from tagseg.data.relabel import in_classes_of
from tagseg.errors import NothingToScore, TagsegError

VAL_SHARE = 0.2
"""Share of the photos in the validation split where the data have none."""
FEWEST = 5
"""Photos that are divided; fewer are all of one split."""


def tagged_photos(config: DataConfig, classes: tuple[str, ...] | None) -> dict[str, TaggedImages]:
    """The photos of each split whose tags are known, training first; no mask is read.

    Args:
        config: the data settings. Where neither they nor the data say which photos are for validation, a share is
            (``made_splits``); without validation split, or with one of the same name, there is one split.
        classes: of a trained network, which those of the data are matched to by name; ``None``: the data's.

    Raises:
        TagsegError: bad data, no photo of known tags, or classes that are not the network's.
    """
    splits = _splits(config)
    if all(not sample.tags_known for images in splits.values() for sample in images.samples):
        sources.require_tags(splits[config.train_split])
    known = {name: images for name, images in map(_known, splits, splits.values()) if images.samples}
    first = next(iter(known.values()))
    for images in known.values():
        if images.classes != first.classes:
            raise TagsegError(
                f"{images.source} has {len(images.classes)} classes, {first.source} {len(first.classes)}: give both "
                "the same list with --data.classes"
            )
    if classes is None:
        return known
    return {name: in_classes_of(images, classes) for name, images in known.items()}


def _splits(config: DataConfig) -> dict[str, TaggedImages]:
    """The splits as the data or the settings have them, else made."""
    training = _load(config, config.train_split)
    if not config.val_split or config.val_split == config.train_split:
        return {config.train_split: training}
    try:
        return {config.train_split: training, config.val_split: _load(config, config.val_split)}
    except NothingToScore:  # nothing says which photos it has
        if len(training) < FEWEST:
            return {config.train_split: training}
    divided = replace(config, val_share=VAL_SHARE)
    return {name: _load(divided, name) for name in (config.train_split, config.val_split)}


def _load(config: DataConfig, split: str) -> TaggedImages:
    return sources.load(config, split, masks=False, tags=False)


def _known(name: str, images: TaggedImages) -> tuple[str, TaggedImages]:
    """A split without the photos whose tags are not known, which are noted."""
    unknown = [sample.name for sample in images.samples if not sample.tags_known]
    notes = Note.of(f"images of {name} whose tags are not known, left out", unknown, warning=True)
    samples = tuple(sample for sample in images.samples if sample.tags_known)
    return name, replace(images, samples=samples, notes=(*images.notes, *notes))
