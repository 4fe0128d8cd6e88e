"""The ``coco`` source: tags and masks from COCO's ``instances_*.json``, without any conversion."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from tagseg.data.config import DataConfig
from tagseg.data.dataset import IGNORE, Sample, TaggedImages
from tagseg.data.layout import choose_folder, data_root, locate, without_extension
from tagseg.data.masks import check_size
from tagseg.data.outlines import Outline, draw_outline, read_outline
from tagseg.data.tags import ClassIndex, class_list
from tagseg.errors import TagsegError, list_some


class CocoObject(NamedTuple):
    """One annotation: label 1 to K, outline (polygons, run lengths, or ``None`` if it is not kept), crowd or not."""

    label: int
    outline: Outline | None
    crowd: bool = False


@dataclass(frozen=True, eq=False)
class CocoMask:
    """Draws the ground-truth mask of one image from its annotations.

    Where objects overlap, the smaller one is on top (a cup before a table); of equal ones the later.
    Crowd regions are 255 where no object covers them. A pixel is inside a polygon if its centre is; pycocotools
    differs by a pixel at some borders.

    Attributes:
        image: the image it belongs to.
        size: height and width that the annotations were made at.
        objects: the annotations.
    """

    image: Path
    size: tuple[int, int]
    objects: tuple[CocoObject, ...]

    def __call__(self) -> UInt8[ndarray, "H W"]:
        """Ids per pixel: 0 background, 1 to K foreground, 255 ignored.

        Raises:
            TagsegError: a damaged outline, or another size than the image's.
        """
        check_size(f"in the annotations of {self.image.name}", self.size, self.image)
        drawn = [(IGNORE if o.crowd else o.label, self._draw(o)) for o in self.objects]
        drawn.sort(key=lambda each: (each[0] != IGNORE, -np.count_nonzero(each[1])))
        ids = np.zeros(self.size, np.uint8)
        for label, inside in drawn:
            ids[inside] = label
        return ids

    def _draw(self, annotated: CocoObject) -> Bool[ndarray, "H W"]:
        try:
            return draw_outline(annotated.outline or (), self.size)
        except ValueError as error:
            what = f"the annotations of {self.image.name} hold {error}"
            raise TagsegError(f"{what}, expected COCO's run lengths: repair or remove the annotation") from error


class _Image(NamedTuple):
    file: str
    size: tuple[int, int]
    objects: tuple[tuple[int, CocoObject], ...]  # with the category id


def coco(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """Load a split of COCO's layout: ``annotations/instances_<split>.json`` and images in ``<split>/``.

    - *Tags* are the categories annotated in the image, crowd regions included: a crowd shows people, so "no person"
      would be a wrong label. Only scoring ignores the pixels of crowds.
    - *Classes* are all categories by ascending id (COCO's ids have gaps: 1 to 90 become labels 1 to 80), or those of
      the settings, in their order; objects of other categories are then background.
    - *Masks* are drawn on reading (``CocoMask``).

    Args:
        config: the data settings; ``root``, ``images``, ``masks``, ``classes``, ``skip_missing`` apply.
        split: ``train2014``, ``val2017`` ...
        masks: whether samples can read their masks; otherwise no outline is kept in memory.

    Raises:
        TagsegError: a file or folder is absent or malformed.
    """
    root = data_root(config.root)
    masks = _wants_masks(config, masks)
    path = _annotation_file(root, split)
    categories, entries = _read(path, masks)
    # sorted by id: the published order of labels
    classes = class_list(config.classes, root) or tuple(name for _, name in sorted(categories.items()))
    index = ClassIndex(tuple(categories.values()))
    index(classes, f"--data.classes, looked up among the categories of {path.name}")
    label_of = {category: classes.index(name) + 1 for category, name in categories.items() if name in classes}

    images = choose_folder(root, config.images, (split, f"images/{split}", "images"), "--data.images")
    if images is None:
        raise TagsegError(
            f"{root} has no folder {split}, expected COCO's layout, images in {split}/: set --data.images"
        )
    kept = {entry.file: _labelled(entry, label_of) for entry in entries}
    if len(kept) < len(entries):
        raise TagsegError(f"{path} lists an image file twice, expected each once: remove the copies")
    files = locate(kept, images, path.name, config.skip_missing)
    samples = []
    for entry in entries:
        if entry.file in files:
            image = images / files[entry.file]
            objects = kept[entry.file]
            mask = CocoMask(image, entry.size, objects) if masks else None
            samples.append(Sample(without_extension(files[entry.file]), image, _tags(objects), mask))
    return TaggedImages(f"coco ({root}), split {split}", classes, tuple(samples), path.name)


def _wants_masks(config: DataConfig, masks: bool) -> bool:
    if config.tags != "auto" or config.masks not in ("auto", "none"):
        key, value = ("tags", config.tags) if config.tags != "auto" else ("masks", config.masks)
        expected = "expected auto (or none for masks): COCO's tags and masks come from its annotations"
        raise TagsegError(f"--data.{key} is {value!r}, {expected}; remove it, or use --data.source folder")
    return masks and config.masks == "auto"


def _annotation_file(root: Path, split: str) -> Path:
    path = root / "annotations" / f"instances_{split}.json"
    if not path.is_file():
        present = sorted(p.stem.removeprefix("instances_") for p in path.parent.glob("instances_*.json"))
        known = list_some(present, most=10) or "none"
        raise TagsegError(f"{path} does not exist, splits present: {known}; set --data.train_split or .val_split")
    return path


def _read(path: Path, outlines: bool) -> tuple[dict[int, str], list[_Image]]:
    """Names by category id, and the images in the file's order, with outlines if asked for."""
    try:
        content = json.loads(path.read_bytes())
        categories = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        objects: dict[int, list[tuple[int, CocoObject]]] = defaultdict(list)
        for entry in content["annotations"]:
            outline = read_outline(entry["segmentation"]) if outlines else None
            if entry["category_id"] not in categories:
                raise ValueError(f"the category {entry['category_id']}, which it does not define")
            annotated = CocoObject(
                0, outline, bool(entry.get("iscrowd"))
            )  # its label follows when the classes are known
            objects[entry["image_id"]].append((entry["category_id"], annotated))
        images = [
            _Image(str(entry["file_name"]), (entry["height"], entry["width"]), tuple(objects[entry["id"]]))
            for entry in content["images"]
        ]
    except KeyError as error:
        raise TagsegError(f"{path} has an entry without {error}, expected COCO's instances: check the file") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise TagsegError(f"{path} cannot be read ({error}), expected COCO's instances: check the file") from error
    return categories, images


def _labelled(entry: _Image, label_of: dict[int, int]) -> tuple[CocoObject, ...]:
    """The objects of the chosen classes, with their labels."""
    return tuple(o._replace(label=label_of[c]) for c, o in entry.objects if c in label_of)


def _tags(objects: tuple[CocoObject, ...]) -> tuple[int, ...]:
    return tuple(sorted({o.label - 1 for o in objects}))
