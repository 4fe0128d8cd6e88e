"""Data sources by name: functions from the data settings and a split to ``TaggedImages``."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from tagseg.data.class_list import class_list
from tagseg.data.coco import coco
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.folder import folder
from tagseg.data.image_notes import image_notes
from tagseg.data.layout import data_root
from tagseg.data.recognised import recognise
from tagseg.data.relabel import in_classes_of
from tagseg.data.voc import voc
from tagseg.errors import TagsegError, list_some


class Source(Protocol):
    """Loads one split; with ``masks=False`` no sample has a mask."""

    def __call__(self, config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
        """Load the split; raises ``TagsegError`` if the data are absent or malformed."""
        ...


def _scenes(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    from tagseg.data.scenes.source import scenes  # here, not above: drawing is not needed to load photos

    return scenes(config, split, masks=masks)


SOURCES: dict[str, Source] = {"folder": folder, "voc": voc, "coco": coco, "scenes": _scenes}
"""To add a source, write its function in a file of its own and add its line here."""


def load(config: DataConfig, split: str, masks: bool = True, tags: bool = True) -> TaggedImages:
    """Load one split of the data that the settings describe.

    Args:
        config: the data settings.
        split: ``config.train_split``, ``config.val_split`` or any other split of the data.
        masks: whether samples can read their masks; training on tags does not need them.
        tags: whether the tags of each image must be known; scoring by masks does not need them.

    Raises:
        TagsegError: the source does not exist, or its data are absent or malformed.
    """
    if config.source not in SOURCES:
        raise TagsegError(f"--data.source is {config.source!r}, expected one of: {', '.join(SOURCES)}")
    config, recognised = recognise(config)
    images = SOURCES[config.source](config, split, masks=masks)
    if tags:
        require_tags(images)
    if not config.untagged:
        images = replace(images, samples=tuple(s for s in images.samples if s.tags or not s.tags_known))
    if not images.samples:
        raise TagsegError(f"{images.source} has no image, expected one at least: check --data.root and the split")
    return replace(images, notes=(*recognised, *images.notes, *image_notes(images.samples)))


def load_for_network(config: DataConfig, split: str, classes: tuple[str, ...], tags: bool) -> TaggedImages:
    """Load a split to score a network with, in the classes of the network.

    Where the data name no classes of their own, those of the network are taken, as the tags of a test set may lack
    some. Others are matched by name: they may be in another order or fewer.

    Args:
        config: the data settings.
        split: as in ``load``.
        classes: the K classes of the network.
        tags: as in ``load``.

    Raises:
        TagsegError: as in ``load``, or the data have a class that the network does not know.
    """
    if recognise(config)[0].source == "folder" and not class_list(config.classes, data_root(config.root)).names:
        config = replace(config, classes=classes)
    return in_classes_of(load(config, split, tags=tags), classes)


def require_tags(images: TaggedImages) -> None:
    """Raise ``TagsegError`` unless the tags of each image are known."""
    without = [sample.name for sample in images.samples if not sample.tags_known]
    if without and not images.tags_from:
        raise TagsegError(
            f"{images.source} has no tags, expected some for each image: add them, or set --data.tags; to derive them "
            "from the masks of voc, which are pixel labels, ask for it: --data.tags masks"
        )
    if without:
        raise TagsegError(
            f"{images.tags_from} has no tags for {len(without)} of {len(images)} images: "
            f"{list_some(without)}; add them, or choose where tags come from with --data.tags "
            "(voc: xml, masks, a .npy or CSV file)"
        )
