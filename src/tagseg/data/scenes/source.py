"""The ``scenes`` source: procedural photos of six classes, drawn under the data's root on first use.

The files are plain images, in a layout that the ``folder`` source reads too::

    ROOT/scenes/train/images/0000.png    the photos
    ROOT/scenes/train/masks/0000.png     their masks, 0 background, 1 to 6, 255 ignored
    ROOT/scenes/train/labels.csv         image and tags
    ROOT/scenes/train/drawn.json         what was drawn; written last, so a folder without it is not complete
"""

from __future__ import annotations

import csv
import json
import os
from io import BytesIO, StringIO
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from tagseg.data.config import DataConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.json_text import parse_json
from tagseg.data.masks import MaskFile
from tagseg.data.scenes.scenery import NAMES, SIZE, draw_scene
from tagseg.errors import TagsegError

SEEDS = {"train": 0, "val": 1}
"""The series of scenes of each split."""

_DRAWING = 1
"""To be raised when the drawing changes, so that scenes of older versions are drawn again."""


def scenes(config: DataConfig, split: str, *, masks: bool) -> TaggedImages:
    """The procedural scenes of a split, drawn if they do not exist.

    Args:
        config: ``root`` is their folder, ``scenes`` the number for training; there are a quarter as many for ``val``.
        split: ``train`` or ``val``.
        masks: whether samples can read their masks.

    Raises:
        TagsegError: another split, fewer than 4 scenes, or a root that cannot be written.
    """
    if split not in SEEDS:
        raise TagsegError(f"split is {split!r}, expected one of: {', '.join(SEEDS)} (the scenes have no other)")
    if config.scenes < 4:
        raise TagsegError(f"data.scenes is {config.scenes}, expected 4 or more")
    count = config.scenes if split == "train" else config.scenes // 4
    folder = Path(config.root).expanduser() / "scenes" / split
    try:
        if not _is_drawn(folder, split, count):
            draw_folder(folder, split, count)
        rows = _read_labels(folder)[:count]
    except OSError as error:
        raise TagsegError(f"cannot draw scenes in {folder}: {error.strerror}; choose another data.root") from error
    samples = tuple(
        Sample(
            name=Path(image).stem,
            image=folder / image,
            tags=tuple(NAMES.index(name) for name in names),
            mask=MaskFile(folder / "masks" / Path(image).name, folder / image, len(NAMES)) if masks else None,
        )
        for image, names in rows
    )
    return TaggedImages(f"scenes ({folder}), split {split}", NAMES, samples, "the drawing")


def draw_folder(folder: Path, split: str, count: int) -> None:
    """Draw the first ``count`` scenes of a split into a folder.

    Files are written atomically with deterministic content, so several processes may draw at the same time.
    """
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "drawn.json").unlink(missing_ok=True)
    labels = StringIO()
    table = csv.writer(labels, lineterminator="\n")
    table.writerow(("image", "labels"))
    for index in tqdm(range(count), desc=f"drawing scenes ({split})", unit="scene", delay=2, disable=None):
        scene = draw_scene(SEEDS[split], index)
        name = f"{index:04d}.png"
        _write(folder / "images" / name, _png(Image.fromarray(scene.image)))
        _write(folder / "masks" / name, _png(Image.fromarray(scene.mask)))
        table.writerow((f"images/{name}", ";".join(NAMES[tag] for tag in scene.tags)))
    _write(folder / "classes.txt", "".join(f"{name}\n" for name in NAMES).encode())  # in the order of the masks' ids
    _write(folder / "labels.csv", labels.getvalue().encode())
    _write(folder / "drawn.json", json.dumps({**_recipe(split), "count": count}).encode())


def _recipe(split: str) -> dict[str, int]:
    return {"drawing": _DRAWING, "seed": SEEDS[split], "size": SIZE}


def _is_drawn(folder: Path, split: str, count: int) -> bool:
    """Whether the folder has the first ``count`` scenes or more; a scene does not depend on their number."""
    try:
        drawn = parse_json((folder / "drawn.json").read_text())
    except (FileNotFoundError, ValueError):
        return False
    there = drawn.get("count") if isinstance(drawn, dict) else None
    return isinstance(there, int) and {**drawn, **_recipe(split)} == drawn and there >= count


def _read_labels(folder: Path) -> list[tuple[str, list[str]]]:
    with (folder / "labels.csv").open(newline="") as file:
        return [(row["image"], row["labels"].split(";")) for row in csv.DictReader(file)]


def _png(image: Image.Image) -> bytes:
    memory = BytesIO()
    image.save(memory, "PNG", compress_level=3)
    return memory.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically: under another name, then renamed."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
