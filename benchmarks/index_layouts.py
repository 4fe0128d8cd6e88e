"""Collections for ``index.py``: generated names, few distinct files, in the layouts that large collections come in."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = tuple(f"kind{number:03}" for number in range(100))
SIZE = (96, 64)
"""Width and height of the photos."""
DISTINCT = 16
"""Files; every name is a hard link to one of them, as a file system takes 65,000 links to one at most."""
_IN_A_FOLDER = 1_000


def names(rows: int) -> list[str]:
    """Names of photos in folders of a thousand."""
    return [f"{number // _IN_A_FOLDER:04}/photo-{number:07}.jpg" for number in range(rows)]


def tags(rows: int) -> list[tuple[str, ...]]:
    """One to three tags of each photo; each class is at least once by itself."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 4, rows)
    drawn = rng.integers(0, len(CLASSES), (rows, 3))
    drawn[:, 0] = np.arange(rows) % len(CLASSES)
    return [tuple(sorted({CLASSES[k] for k in row[:count]})) for row, count in zip(drawn, counts, strict=True)]


def draw(folder: Path) -> tuple[list[Path], list[Path]]:
    """The distinct photos, and their masks of class ids."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    photos, masks = [], []
    for number in range(DISTINCT):
        coarse = Image.fromarray(rng.integers(20, 235, (5, 7, 3), np.uint8)).resize(SIZE, Image.Resampling.BILINEAR)
        photos.append(folder / f"{number}.jpg")
        coarse.save(photos[-1], quality=85)
        labels = np.zeros(SIZE[::-1], np.uint8)
        labels[16:48, 24:72] = 1 + number
        masks.append(folder / f"{number}.png")
        Image.fromarray(labels).save(masks[-1])
    return photos, masks


def link(files: list[Path], folder: Path, called: list[str]) -> None:
    """Give the files names in a folder, in turn."""
    for place in sorted({os.path.dirname(name) for name in called}):
        (folder / place).mkdir(parents=True, exist_ok=True)
    base = os.fspath(folder)
    sources = [os.fspath(file) for file in files]
    for number, name in enumerate(called):
        os.link(sources[number % len(sources)], f"{base}/{name}")


def _csv(root: Path, rows: int, called: Callable[[str], str] = str) -> None:
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        pairs = zip(names(rows), tags(rows), strict=True)
        csv.writer(file).writerows([("image", "labels"), *((called(name), ";".join(own)) for name, own in pairs)])


def _photos(root: Path, rows: int) -> list[Path]:
    photos, masks = draw(root / ".distinct")
    link(photos, root / "images", names(rows))
    return masks


def tag_file(root: Path, rows: int) -> None:
    """``images/`` and ``labels.csv``."""
    _photos(root, rows)
    _csv(root, rows)


def other_names(root: Path, rows: int) -> None:
    """As before, but the file names photos in capitals and without their folder, so that each is looked for."""
    _photos(root, rows)
    _csv(root, rows, lambda name: name.rpartition("/")[2].upper())


def with_masks(root: Path, rows: int) -> None:
    """As before, with a mask for each photo, and no class list: ids are those of the tags."""
    masks = _photos(root, rows)
    link(masks, root / "masks", [f"{name.removesuffix('.jpg')}.png" for name in names(rows)])
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        tagged = [CLASSES[number % DISTINCT] for number in range(rows)]
        csv.writer(file).writerows([("image", "labels"), *zip(names(rows), tagged, strict=True)])
    (root / "classes.txt").write_text("\n".join(CLASSES))


def class_map(root: Path, rows: int) -> None:
    """As ``tag_file``, with a class map that joins pairs of classes."""
    tag_file(root, rows)
    joined = (f'  group{k:03}: ["{CLASSES[2 * k]}", "{CLASSES[2 * k + 1]}"]' for k in range(len(CLASSES) // 2))
    (root / "class_map.yaml").write_text("\n".join(["classes:", *joined, ""]))


def json_lines(root: Path, rows: int) -> None:
    """``images/`` and ``labels.jsonl``."""
    _photos(root, rows)
    with (root / "labels.jsonl").open("w", encoding="utf-8") as file:
        for name, own in zip(names(rows), tags(rows), strict=True):
            file.write(json.dumps({"image": name, "labels": own}) + "\n")


def class_folders(root: Path, rows: int) -> None:
    """A folder for each class; a photo of each is in one."""
    photos, _ = draw(root.parent / f"{root.name}-distinct")
    root.mkdir()
    link(photos, root, [f"{CLASSES[n * len(CLASSES) // rows]}/photo-{n:07}.jpg" for n in range(rows)])


def coco(root: Path, rows: int) -> None:
    """One JSON of all images, with an outline for each tag."""
    _photos(root, rows)
    number_of = {name: number for number, name in enumerate(CLASSES, 1)}
    left = (2.0, 34.0, 66.0)
    outlines = [[[x, 10.0, x + 22, 12.5, x + 24, 40.0, x + 2, 38.5]] for x in left]
    objects = [
        {"id": 3 * image + place, "image_id": image, "category_id": number_of[tag], "iscrowd": 0, "area": 880.0,
         "bbox": [left[place], 10.0, 24.0, 30.0], "segmentation": outlines[place]}
        for image, own in enumerate(tags(rows), 1) for place, tag in enumerate(own)
    ]  # fmt: skip
    images = [
        {"id": image, "file_name": name, "width": SIZE[0], "height": SIZE[1]}
        for image, name in enumerate(names(rows), 1)
    ]
    categories = [{"id": number, "name": name, "supercategory": "kind"} for name, number in number_of.items()]
    content = {"images": images, "annotations": objects, "categories": categories}
    (root / "labels.json").write_text(json.dumps(content))


LAYOUTS: dict[str, Callable[[Path, int], None]] = {
    "csv": tag_file,
    "jsonl": json_lines,
    "class_folders": class_folders,
    "coco": coco,
    "csv_other_names": other_names,
    "csv_masks": with_masks,
    "csv_class_map": class_map,
}
