"""Data sources by name: functions from the data settings and a split to ``TaggedImages``."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Protocol

from tagseg.data.coco import coco
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.folder import folder
from tagseg.data.voc import voc
from tagseg.errors import TagsegError, list_some

logger = logging.getLogger("tagseg")


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


def load(config: DataConfig, split: str, masks: bool = True) -> TaggedImages:
    """Load one split of the data that the settings describe.

    Warns (logger ``tagseg``) of classes that no training image has, which is no error: a subset of VOC may lack some.

    Args:
        config: the data settings.
        split: ``config.train_split``, ``config.val_split`` or any other split of the data.
        masks: whether samples can read their masks; training on tags does not need them.

    Raises:
        TagsegError: the source does not exist, or its data are absent or malformed.
    """
    if config.source not in SOURCES:
        raise TagsegError(f"--data.source is {config.source!r}, expected one of: {', '.join(SOURCES)}")
    images = SOURCES[config.source](config, split, masks=masks)
    if not config.untagged:
        images = replace(images, samples=tuple(sample for sample in images.samples if sample.tags))
    if not images.samples:
        raise TagsegError(f"{images.source} has no image, expected one at least: check --data.root and the split")
    if split == config.train_split:
        tagged = {tag for sample in images.samples for tag in sample.tags}
        absent = [name for index, name in enumerate(images.classes) if index not in tagged]
        if absent:
            named = list_some(absent, most=10)
            logger.warning("%s: no image is tagged with %s: what has no image cannot be learnt", images.source, named)
    return images
