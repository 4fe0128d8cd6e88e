"""The files that prediction and evaluation write."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont

from tagseg.data.dataset import IGNORE
from tagseg.data.jpeg_files import save_jpeg
from tagseg.data.palette import Colour, colour, label_names, palette_of
from tagseg.files import replacing

OVERLAY_SIDE = 1600
"""Longest side of an overlay in pixels."""
_LONGEST_NAME = 30
"""Width of the longest name in a legend, in font sizes: about 60 letters."""


def save_picture(path: Path, picture: Image.Image) -> None:
    """Write a picture as JPEG or PNG, by its extension."""
    if path.suffix.lower() != ".png":
        save_jpeg(path, picture, quality=90)
        return
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG")


def save_json(path: Path, content: dict[str, object]) -> None:
    """Write indented UTF-8 JSON; nan is not allowed."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def save_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a UTF-8 CSV file with a header line."""
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def save_legend(path: Path, classes: tuple[str, ...], colours: Sequence[Colour] | None = None) -> None:
    """Write the meaning of the labels: a CSV with label, name and colour, VOC's by default."""
    rgb = palette_of(colours).tolist()
    rows = [(label, name, *rgb[label]) for label, name in enumerate(label_names(classes))]
    save_table(path, ("label", "name", "red", "green", "blue"), rows)


def blend(
    image: UInt8[ndarray, "H W 3"],
    labels: UInt8[ndarray, "H W"],
    opacity: float = 0.5,
    line: int = 1,
    colours: Sequence[Colour] | None = None,
) -> UInt8[ndarray, "H W 3"]:
    """The image tinted with the colours of its labels, with outlines.

    Args:
        image: RGB.
        labels: background (0) is not tinted; ignored pixels (255) are tinted white.
        opacity: of the tint, 0 to 1; outlines are opaque.
        line: about half the width of the outlines in pixels; 0 draws none.
        colours: RGB of labels 0, 1, …; by default VOC's.
    """
    rgb = palette_of(colours).copy()
    rgb[IGNORE] = 255
    tint = rgb[labels]
    strength = np.where(labels == 0, 0, opacity).astype(np.float32)
    strength[_edges(labels, line) & (labels != 0)] = 1
    mixed = image + (tint.astype(np.float32) - image) * strength[..., None]
    return mixed.round().astype(np.uint8)


def _edges(labels: UInt8[ndarray, "H W"], line: int) -> ndarray:
    """Pixels with a different label at most ``line`` pixels away in their row or column."""
    edges = np.zeros(labels.shape, bool)
    for step in range(1, line + 1):
        across = labels[:, step:] != labels[:, :-step]
        edges[:, step:] |= across
        edges[:, :-step] |= across
        down = labels[step:] != labels[:-step]
        edges[step:] |= down
        edges[:-step] |= down
    return edges


def draw_overlay(
    image: UInt8[ndarray, "H W 3"],
    labels: UInt8[ndarray, "H W"],
    classes: tuple[str, ...],
    side: int = OVERLAY_SIDE,
    *,
    opacity: float = 0.5,
    colours: Sequence[Colour] | None = None,
) -> Image.Image:
    """The image tinted with the colours of its classes, and below it a legend of the predicted classes."""
    picture, mask = Image.fromarray(image), Image.fromarray(labels)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    mask = mask.resize(picture.size, Image.Resampling.NEAREST)
    longer = max(picture.size)
    line = 1 + longer // 600
    blended = Image.fromarray(blend(np.asarray(picture), np.asarray(mask), opacity, line, colours))
    names, rgb = label_names(classes), palette_of(colours)
    predicted = [int(label) for label in np.unique(labels) if 0 < label < len(names)]
    entries = [(names[label], _as_colour(rgb[label])) for label in predicted] or [("nothing found", colour(0))]
    legend = draw_legend(entries, blended.width, font_size=min(28, max(13, longer // 45)))
    return stack([blended, legend])


def _as_colour(rgb: ndarray) -> Colour:
    red, green, blue = (int(value) for value in rgb)
    return red, green, blue


def draw_legend(entries: Sequence[tuple[str, Colour]], width: int, font_size: int = 13) -> Image.Image:
    """A white strip of coloured squares with names, wrapped at ``width``; wider if a single name is."""
    font = ImageFont.load_default(size=font_size)
    gap, square = font_size // 2, font_size
    entries = [(shortened(name, font, max(width, _LONGEST_NAME * font_size)), fill) for name, fill in entries]
    lengths = [square + gap + round(font.getlength(name)) + 2 * gap for name, _ in entries]
    width = max(width, gap + max(lengths, default=0))
    places, x, y = [], gap, gap
    for length in lengths:
        if x > gap and x + length > width:
            x, y = gap, y + font_size + gap
        places.append((x, y))
        x += length
    strip = Image.new("RGB", (width, y + font_size + gap), "white")
    draw = ImageDraw.Draw(strip)
    for (name, fill), (x, y) in zip(entries, places, strict=True):
        draw.rectangle((x, y, x + square - 1, y + square - 1), fill=fill, outline=(90, 90, 90))
        draw.text((x + square + gap, y + square // 2), name, fill=(20, 20, 20), font=font, anchor="lm")
    return strip


def fitted(picture: Image.Image, side: int) -> Image.Image:
    """The picture with a longer side of ``side`` pixels, and at least one in the other."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)


def shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text on one line, cut so that it is at most ``width`` pixels wide; it then ends in ``…``."""
    line = " ".join(text.encode(errors="replace").decode().split())  # file names may hold what no font can draw
    shown = line[: max(2, width)]  # no letter is much narrower than a pixel
    while len(shown) > 1 and font.getlength(shown) > width:
        shown = shown[:-2] + "…"
    return shown


def stack(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures one below the other, left-aligned on white."""
    size = (max(p.width for p in pictures), sum(p.height for p in pictures))
    sheet, y = Image.new("RGB", size, "white"), 0
    for picture in pictures:
        sheet.paste(picture, (0, y))
        y += picture.height
    return sheet
