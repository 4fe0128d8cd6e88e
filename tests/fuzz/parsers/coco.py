"""COCO's JSON: instances with polygons and both kinds of run lengths, and proposals in the same form."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy import ndarray

from tagseg.data.coco_categories import label_categories
from tagseg.data.coco_file import CocoImage, annotated_categories, read_coco_file
from tagseg.data.coco_mask import CocoMask, CocoObject
from tagseg.data.layout import without_extension
from tagseg.data.proposal_outlines import JsonSegments, OutlinedSegments, read_coco

from ..parser import REFUSED, Case, Parser
from .values import names, words

SMALL = 10_000
"""Pixels of the largest mask that is drawn: an image of the data must have its size."""
_WORDS = (
    b'"images"',
    b'"annotations"',
    b'"categories"',
    b'"id"',
    b'"image_id"',
    b'"category_id"',
    b'"segmentation"',
    b'"counts"',
    b'"size"',
    b'"bbox"',
    b'"iscrowd"',
    b"[[1,1,5,1,5,5]]",
    b'{"size":[4,4],"counts":[16]}',
    b'{"size":[100000,100000],"counts":[10000000000]}',
    b'{"size":[4,4],"counts":"@0"}',
    b'"file_name"',
)


def encoded(counts: list[int]) -> str:
    """Run lengths as COCO's text, written as its format says: the inverse of ``outlines.decode_counts``."""
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            group = value & 31
            value >>= 5
            more = value != (-1 if group & 16 else 0)
            text += chr(48 + (group | 32 if more else group))
    return text


def runs(mask: ndarray) -> list[int]:
    """Run lengths down the columns, background first."""
    flat = mask.T.ravel()
    ends = [*(np.flatnonzero(flat[1:] != flat[:-1]) + 1).tolist(), len(flat)]
    lengths = [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return [0, *lengths] if flat[0] else lengths


def outline(rng: Random, height: int, width: int) -> tuple[Any, ndarray]:
    """A rectangle in one of the ways that tools write it, and its mask."""
    top, left = rng.randrange(height), rng.randrange(width)
    bottom, right = rng.randint(top + 1, height), rng.randint(left + 1, width)
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    form = rng.randrange(4)
    if form == 0:
        return [[left, top, right, top, right, bottom, left, bottom]], mask
    if form == 1:
        points = [[left, top], [right, top], [right, bottom], [left, bottom]]
        return ([points] if rng.random() < 0.5 else points), mask
    if form == 2:
        return {"size": [height, width], "counts": runs(mask)}, mask
    return {"size": [height, width], "counts": encoded(runs(mask))}, mask


def _instances(rng: Random) -> Case:
    of = words(rng, 4)
    ids = rng.sample(range(1, 91), len(of))
    as_text = rng.random() < 0.2
    categories = [
        {"id": str(key) if as_text else key, "name": name, "supercategory": "x"}
        for key, name in zip(ids, of, strict=True)
    ]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    expected: dict[str, list[tuple[str, bool, bytes]]] = {}
    for number, name in enumerate(names(rng, 4), 1):
        height, width = rng.randint(1, 20), rng.randint(1, 20)
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        expected[name] = []
        for _ in range(rng.randint(0, 3)):
            segmentation, mask = outline(rng, height, width)
            category, crowd = rng.randrange(len(of)), rng.random() < 0.2
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": ids[category],
                    "iscrowd": int(crowd),
                    "segmentation": segmentation,
                    "bbox": [0, 0, width, height],
                }
            )
            expected[name].append((of[category], crowd, mask.tobytes()))
    content = {"images": images, "annotations": annotations, "categories": categories}
    wrong = rng.randrange(12)
    if wrong == 0:
        images.append({**images[0], "file_name": "another.jpg"})
    elif wrong == 1:
        categories.append({**categories[0], "name": "another"})
    elif wrong == 2 and annotations:
        annotations[0]["category_id"] = 999
    else:
        wrong = -1
    text = json.dumps(content, ensure_ascii=rng.random() < 0.5)
    return Case(
        "instances.json",
        text.encode(rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16"))),
        REFUSED if wrong >= 0 else expected,
    )


def _read_instances(path: Path) -> dict[str, list[tuple[str, bool, bytes]]]:
    annotated_categories(path)
    plain = read_coco_file(path, outlines=False)
    file = read_coco_file(path, outlines=True)
    assert [image.file for image in file.images] == [image.file for image in plain.images]
    label_categories(file, (), frozenset, ())
    names_of = {category.key: category.name for category in file.categories}
    return {
        image.file: [
            (names_of[each.category], each.crowd, _mask(path, image, each).tobytes()) for each in image.annotations
        ]
        for image in file.images
    }


def _mask(path: Path, image: CocoImage, each: Any) -> ndarray:
    height, width = image.size or (8, 8)
    if height * width > SMALL:
        return np.zeros(0, bool)
    drawer = CocoMask(path, image.size, ())
    return drawer._draw(CocoObject(1, each.outline, each.extent, each.key), (height, width))[1]


def _proposals(rng: Random) -> Case:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    expected: dict[str, bytes] = {}
    for number, name in enumerate(names(rng, 3)):
        height, width = rng.randint(1, 20), rng.randint(1, 20)
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        segmentation, mask = outline(rng, height, width)
        if (
            isinstance(segmentation, list)
            and segmentation
            and isinstance(segmentation[0], list)
            and len(segmentation[0]) != 8
        ):
            segmentation = {"size": [height, width], "counts": runs(mask)}
        annotations.append({"image_id": number, "segmentation": segmentation})
        expected[without_extension(name)] = mask.astype(np.int32).tobytes()
    return Case("proposals.json", json.dumps({"images": images, "annotations": annotations}).encode(), expected)


def _read_proposals(path: Path) -> dict[str, bytes]:
    found = {}
    for name, each in read_coco(path).items():
        segments = OutlinedSegments.of(path, each)
        found[name] = segments().tobytes() if segments.size[0] * segments.size[1] <= SMALL else b""
    return found


def _one(rng: Random) -> Case:
    height, width = rng.randint(1, 20), rng.randint(1, 20)
    mask = np.zeros((height, width), bool)
    mask[: rng.randint(1, height)] = True
    counts: Any = runs(mask)
    content = {
        "image": {"image_id": 1, "height": height, "width": width, "file_name": "sa_1.jpg"},
        "annotations": [{"segmentation": {"size": [height, width], "counts": rng.choice((counts, encoded(counts)))}}],
    }
    return Case("sa_1.json", json.dumps(content).encode(), mask.astype(np.int32).tobytes())


def _read_one(path: Path) -> bytes:
    return JsonSegments(path)().tobytes()


PARSERS = (
    Parser("coco_instances", _instances, _read_instances, _WORDS),
    Parser("proposals_coco", _proposals, _read_proposals, _WORDS),
    Parser("proposals_json", _one, _read_one, _WORDS),
)
