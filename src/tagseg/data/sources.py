"""Data sources by name: functions from the data settings and a split to ``TaggedImages``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from tagseg.data.class_folders import class_folders
from tagseg.data.class_list import check_labels_suffice, class_list
from tagseg.data.class_map import ClassMap, find_class_map
from tagseg.data.coco import coco
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.folder import folder
from tagseg.data.image_notes import image_notes
from tagseg.data.layout import data_root
from tagseg.data.made_splits import images_of_split, split_of_each
from tagseg.data.mapped_classes import in_mapped_classes
from tagseg.data.paused_collector import paused_collector
from tagseg.data.recognised import recognise
from tagseg.data.relabel import in_classes_of
from tagseg.data.tools.sources import cvat, fiftyone, hugging_face, label_studio, labelme
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


SOURCES: dict[str, Source] = {
    "folder": folder,
    "class_folders": class_folders,
    "voc": voc,
    "coco": coco,
    "label_studio": label_studio,
    "cvat": cvat,
    "hugging_face": hugging_face,
    "labelme": labelme,
    "fiftyone": fiftyone,
    "scenes": _scenes,
}
"""To add a source, write its function in a file of its own and add its line here."""

CLASSES_FROM_TAGS = ("folder", "class_folders", "label_studio", "cvat", "hugging_face", "labelme", "fiftyone")
"""Sources of which nothing but the tags names the classes, unless there is a class list."""


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
    with paused_collector():
        config, layout = recognise(config, tags)
        images = images_of_split(SOURCES[config.source], config, split, masks=masks)
    if tags:
        require_tags(images)
    given = class_map_of(config)
    images = images if given is None else in_mapped_classes(images, given)
    check_labels_suffice(images.classes, images.source)  # a source of somebody's own may not have asked
    if not config.untagged:
        images = replace(images, samples=tuple(s for s in images.samples if s.tags or not s.tags_known))
    if not images.samples:
        raise TagsegError(f"{images.source} has no image, expected one at least: check --data.root and the split")
    return replace(images, layout=layout or images.layout, notes=(*images.notes, *image_notes(images.samples)))


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
    if class_map_of(config) is None and named_by_tags(config, tags):
        config = replace(config, classes=classes)
    return in_classes_of(load(config, split, tags=tags), classes)


def made_splits_of(config: DataConfig) -> dict[str, str]:
    """The split of each image, by name, where the settings ask for other splits than those of the data.

    Raises:
        TagsegError: as in ``load``.
    """
    config, _ = recognise(config)
    return split_of_each(SOURCES[config.source], config)


def class_map_of(config: DataConfig) -> ClassMap | None:
    """The class map of the settings, or of the data's folder, which drawn scenes do not have.

    Raises:
        TagsegError: it is absent or malformed.
    """
    if config.source == "scenes" and config.class_map == "auto":
        return None
    return find_class_map(config.class_map, Path(config.root).expanduser())


def named_by_tags(config: DataConfig, tags: bool = True) -> bool:
    """Whether nothing but the tags names the classes; ``tags`` as in ``load``."""
    by_tags = recognise(config, tags)[0].source in CLASSES_FROM_TAGS
    return by_tags and not class_list(config.classes, data_root(config.root)).names


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
