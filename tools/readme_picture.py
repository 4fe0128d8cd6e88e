"""The picture of the README: real photos, their tags, and the masks that a trained network gives them.

    python tools/readme_picture.py RUN      writes docs/photos_and_masks.jpg

RUN is a run's folder or network file whose classes have the tags of ``docs/photos/labels.csv``. All photos of the
folder are shown, with the masks of ``tagseg label`` (told the tags) and of ``tagseg predict`` (the photo alone), both
with CRF at one scale.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import tagseg
from tagseg.data.config import DataConfig
from tagseg.data.palette import Colour
from tagseg.data.sources import load
from tagseg.inference.export import blend

PHOTOS = Path(__file__).parents[1] / "docs" / "photos"
WIDTH, HEIGHT, GAP, LINE = 190, 143, 4, 26
INK, SCALES = (40, 40, 40), (1.0,)
NOTE = """None of these photos was trained on.

tagseg label is told the tags of a photo,
tagseg predict sees the photo alone:
its shapes are right more often than its classes."""
"""Stands in the place that an odd number of photos leaves free."""


def tile(photo: np.ndarray, labels: np.ndarray | None, colours: Sequence[Colour]) -> Image.Image:
    """A photo (H, W, 3), tinted by its labels (H, W) if they are given, cropped in the middle to the size of a tile."""
    picture = Image.fromarray(photo if labels is None else blend(photo, labels, 0.55, 1, colours))
    factor = max(WIDTH / picture.width, HEIGHT / picture.height)
    picture = picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.Resampling.LANCZOS)
    left, top = (picture.width - WIDTH) // 2, (picture.height - HEIGHT) // 2
    return picture.crop((left, top, left + WIDTH, top + HEIGHT))


def found(labels: np.ndarray, names: Sequence[str]) -> str:
    """Names of the classes that fill at least 0.5 % of the labels (H, W), the largest first."""
    counts = np.bincount(labels.ravel(), minlength=len(names))
    order = [label for label in np.argsort(-counts) if label and counts[label] >= 0.005 * labels.size]
    return ", ".join(names[label] for label in order) or "nothing"


def sheet(rows: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]], names: Sequence[str],
          colours: Sequence[Colour]) -> Image.Image:  # fmt: skip
    """Two photos a line, each beside its mask of the tags and its mask of the photo alone.

    Args:
        rows: tags, photo (H, W, 3), and labels (H, W) twice.
        names: of the labels, background first.
        colours: of the labels.
    """
    block = 3 * (WIDTH + GAP) + 4 * GAP
    lines = -(-len(rows) // 2)
    picture = Image.new("RGB", (2 * block, LINE + lines * (HEIGHT + LINE)), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=14)
    for index, (tags, photo, told, alone) in enumerate(rows):
        left, top = (index % 2) * block + 2 * GAP, LINE + (index // 2) * (HEIGHT + LINE)
        captions = (f"tags: {tags}", f"told the tags: {found(told, names)}", f"photo alone: {found(alone, names)}")
        for place, (labels, caption) in enumerate(zip((None, told, alone), captions, strict=True)):
            x = left + place * (WIDTH + GAP)
            picture.paste(tile(photo, labels, colours), (x, top))
            draw.text((x + 2, top + HEIGHT + 3), caption, fill=INK, font=font)
    if len(rows) % 2:
        draw.multiline_text((block + 2 * GAP + 2, picture.height - HEIGHT - LINE + 6), NOTE, fill=INK, font=font)
    for index in range(2):
        for place, heading in enumerate(("photo", "tagseg label", "tagseg predict")):
            x = index * block + 2 * GAP + place * (WIDTH + GAP) + 2
            draw.text((x, 4), heading, fill=INK, font=font)
    return picture


def masks_told(data: DataConfig, run: str, folder: Path) -> dict[str, np.ndarray]:
    """Labels (H, W) by the photos' names, of ``tagseg label`` with a run."""
    made = tagseg.label(data, folder / "labelled", run, crf=True, scales=SCALES, quiet=True)
    return {path.stem: np.asarray(Image.open(path)) for paths in made.masks.values() for path in paths}


def main(run: str) -> None:
    """Write the picture."""
    data = DataConfig(root=str(PHOTOS), val_split="")
    samples = load(data, "train").samples
    model = tagseg.load(run, scales=SCALES, crf=True)
    names = list(model.names.values())
    with tempfile.TemporaryDirectory() as folder:
        told = masks_told(data, run, Path(folder))
    classes = load(data, "train").classes
    rows = []
    for sample in samples:
        result = model(sample.image)
        tags = ", ".join(classes[tag] for tag in sample.tags or ())
        photo = np.asarray(Image.open(sample.image).convert("RGB"))
        rows.append((tags, photo, told[Path(sample.name).stem], result.mask))
        print(sample.name, result.shares())
    picture = sheet(rows, names, list(model.colours))
    picture.save(PHOTOS.parent / "photos_and_masks.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/readme_picture.py RUN")
    main(sys.argv[1])
