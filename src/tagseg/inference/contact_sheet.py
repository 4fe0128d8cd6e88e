"""A contact sheet: a grid of photos with their masks drawn over them, a caption below each, and a legend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont

from tagseg.data.dataset import IGNORE
from tagseg.data.palette import Colour, label_names, palette_of
from tagseg.errors import TagsegError
from tagseg.inference.export import blend, draw_legend, fitted, save_picture, shortened, stack

TILE = 224
"""Side of the square of each photo in pixels."""
MOST = 100
"""Tiles of a sheet."""
LINES = 3
"""Lines of a caption that are drawn."""
_GAP, _FONT, _INK, _PALE = 8, 13, (25, 25, 25), (240, 240, 240)


@dataclass(frozen=True)
class Tile:
    """One photo of a sheet.

    Attributes:
        image: RGB.
        mask: labels at the image's size: 0 background, k+1 class k, 255 ignored; ``None`` draws the photo alone.
        caption: one to three lines; what is too long is cut and ends in ``…``.
    """

    image: UInt8[ndarray, "H W 3"]
    mask: UInt8[ndarray, "_H _W"] | None = None
    caption: str = ""


def contact_sheet(
    tiles: Iterable[Tile],
    path: Path,
    classes: tuple[str, ...] = (),
    *,
    colours: Sequence[Colour] | None = None,
    columns: int = 0,
    tile: int = TILE,
) -> None:
    """Draw tiles and write the picture, as JPEG or PNG by the file's extension.

    Args:
        tiles: 1 to 100; of an iterator, one photo is in memory at a time.
        path: the file; its folder is made.
        classes: names of the K foreground classes, for the legend.
        colours: RGB of labels 0, 1, …; by default VOC's.
        columns: tiles in a row; 0: half as many again as rows.
        tile: side of each photo's square in pixels.

    Raises:
        TagsegError: no tile or over 100, a mask of another size than its photo, or a file that cannot be written.
    """
    save_picture(path, draw_contact_sheet(tiles, classes, colours=colours, columns=columns, tile=tile))


def draw_contact_sheet(
    tiles: Iterable[Tile],
    classes: tuple[str, ...] = (),
    *,
    colours: Sequence[Colour] | None = None,
    columns: int = 0,
    tile: int = TILE,
) -> Image.Image:
    """The picture of ``contact_sheet``, whose arguments these are.

    Raises:
        TagsegError: no tile or over 100, or a mask of another size than its photo.
    """
    pictures: list[tuple[Image.Image, list[str]]] = []
    present: set[int] = set()
    for one in tiles:
        if len(pictures) == MOST:
            raise TagsegError(f"a contact sheet was given over {MOST} photos, expected 1 to {MOST}: draw fewer")
        pictures.append((_picture(one, tile, colours), one.caption.splitlines()[:LINES]))
        present |= set() if one.mask is None else {int(label) for label in np.unique(one.mask)}
    if not pictures:
        raise TagsegError(f"a contact sheet was given no photo, expected 1 to {MOST}")
    sheet = _grid(pictures, columns or math.ceil(math.sqrt(1.5 * len(pictures))), tile)
    legend = _legend(present, classes, palette_of(colours))
    return stack([sheet, draw_legend(legend, sheet.width)]) if legend else sheet


def _grid(pictures: list[tuple[Image.Image, list[str]]], columns: int, tile: int) -> Image.Image:
    """Each picture in the middle of its square, with its caption below."""
    font, line = ImageFont.load_default(size=_FONT), _FONT * 3 // 2
    columns = min(columns, len(pictures))
    height = tile + line * max(len(caption) for _, caption in pictures)
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (_GAP + columns * (tile + _GAP), _GAP + rows * (height + _GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (picture, caption) in enumerate(pictures):
        left, top = _GAP + number % columns * (tile + _GAP), _GAP + number // columns * (height + _GAP)
        draw.rectangle((left, top, left + tile - 1, top + tile - 1), fill=_PALE)
        sheet.paste(picture, (left + (tile - picture.width) // 2, top + (tile - picture.height) // 2))
        for row, text in enumerate(caption):
            place = (left + tile // 2, top + tile + row * line + line // 2)
            draw.text(place, shortened(text, font, tile), fill=_INK, font=font, anchor="mm")
    return sheet


def _picture(tile: Tile, side: int, colours: Sequence[Colour] | None) -> Image.Image:
    """The photo at a longer side of ``side``, with its mask drawn over it."""
    photo = fitted(Image.fromarray(tile.image), side)
    if tile.mask is None:
        return photo
    if tile.mask.shape != tile.image.shape[:2]:
        (height, width), (rows, columns) = tile.image.shape[:2], tile.mask.shape
        raise TagsegError(
            f"{tile.caption or 'a tile'}: the mask is {columns} × {rows}, expected {width} × {height} as its photo"
        )
    mask = Image.fromarray(tile.mask).resize(photo.size, Image.Resampling.NEAREST)
    return Image.fromarray(blend(np.asarray(photo), np.asarray(mask), colours=colours))


def _legend(present: set[int], classes: tuple[str, ...], rgb: UInt8[ndarray, "256 3"]) -> list[tuple[str, Colour]]:
    """Name and colour of the labels that are drawn; a label without a name by its number."""
    names = label_names(classes)
    drawn = sorted(label for label in present if 0 < label != IGNORE)
    entries: list[tuple[str, Colour]] = []
    for label in drawn:
        red, green, blue = (int(value) for value in rgb[label])
        entries.append((names[label] if label < len(names) else f"label {label}", (red, green, blue)))
    return entries + ([("ignored", (255, 255, 255))] if IGNORE in present else [])
