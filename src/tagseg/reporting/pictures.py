"""The grid picture: one row for each image, one column for each step of the method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont

from tagseg.data.dataset import IGNORE
from tagseg.data.palette import colour, label_names
from tagseg.fsr.partition import CERTAIN_BACKGROUND, CERTAIN_FOREGROUND, UNCERTAIN
from tagseg.inference.export import blend, draw_legend, fitted, shortened, stack

Colour = tuple[int, int, int]

REGIONS: dict[int, tuple[str, Colour]] = {
    CERTAIN_BACKGROUND: ("certain background", (59, 105, 178)),
    UNCERTAIN: ("uncertain", (246, 190, 60)),
    CERTAIN_FOREGROUND: ("certain foreground", (196, 50, 60)),
}
"""Name and colour of each region of section 3 of docs/method.md."""

_HEAT = np.array([(24, 15, 62), (101, 21, 110), (187, 55, 84), (243, 120, 25), (252, 255, 164)], np.float32)
_GAP, _INK, _PALE = 8, (25, 25, 25), (240, 240, 240)


@dataclass(frozen=True)
class GridRow:
    """One image and the results of the steps. All maps have the image's size; ``None`` is left out.

    Attributes:
        image: RGB.
        tags: names of the classes in it.
        plain_cam: like ``cam``, of a plain classifier, for comparison.
        cam: maximum of the CAM over the present classes, 0 to 1.
        regions: section 3 of docs/method.md: 0 certain background, 1 uncertain, 2 certain foreground.
        masked: masked patches or blocks (True), on any grid over the image.
        pseudo_label: 0 background, k+1 class k, 255 ignored.
        prediction: labels, like ``pseudo_label``.
        teacher: like ``prediction``, of the teacher; ``prediction`` is the student's then.
        truth: ground truth, like ``pseudo_label``.
    """

    image: UInt8[ndarray, "H W 3"]
    tags: tuple[str, ...]
    plain_cam: Float[ndarray, "H W"] | None = None
    cam: Float[ndarray, "H W"] | None = None
    regions: UInt8[ndarray, "H W"] | None = None
    masked: Bool[ndarray, "h w"] | None = None
    pseudo_label: UInt8[ndarray, "H W"] | None = None
    prediction: UInt8[ndarray, "H W"] | None = None
    teacher: UInt8[ndarray, "H W"] | None = None
    truth: UInt8[ndarray, "H W"] | None = None


def draw_heat(image: UInt8[ndarray, "H W 3"], cam: Float[ndarray, "H W"]) -> UInt8[ndarray, "H W 3"]:
    """A CAM (0 to 1) from dark violet to pale yellow over the grey image; higher values are more opaque."""
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    position = cam.clip(0, 1) * (len(_HEAT) - 1)
    heat = np.stack([np.interp(position, np.arange(len(_HEAT)), channel) for channel in _HEAT.T], axis=-1)
    opacity = (0.45 + 0.35 * cam.clip(0, 1))[..., None]
    return (grey + (heat - grey) * opacity).round().astype(np.uint8)


def draw_regions(image: UInt8[ndarray, "H W 3"], regions: UInt8[ndarray, "H W"]) -> UInt8[ndarray, "H W 3"]:
    """The three regions in their colours over the grey image."""
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    colours = np.array([REGIONS[region][1] for region in sorted(REGIONS)], np.float32)[regions]
    return (0.4 * grey + 0.6 * colours).round().astype(np.uint8)


def draw_masked(image: UInt8[ndarray, "H W 3"], masked: Bool[ndarray, "h w"]) -> UInt8[ndarray, "H W 3"]:
    """The image with its masked patches greyed out."""
    hidden = Image.fromarray(masked).resize((image.shape[1], image.shape[0]), Image.Resampling.NEAREST)
    return np.where(np.asarray(hidden)[..., None], np.uint8(128), image)


def draw_labels(image: UInt8[ndarray, "H W 3"], labels: UInt8[ndarray, "H W"]) -> UInt8[ndarray, "H W 3"]:
    """Labels in VOC's colours over the grey, darkened image; ignored pixels (255) are hatched white."""
    grey = np.repeat(0.6 * image.mean(axis=2, keepdims=True), 3, axis=2).round().astype(np.uint8)
    blended = blend(grey, np.where(labels == IGNORE, 0, labels).astype(np.uint8), opacity=0.75)
    rows, columns = np.indices(labels.shape)
    step = max(4, max(labels.shape) // 32)
    stripe = (rows + columns) % step < step // 2
    blended[labels == IGNORE] = 225
    blended[(labels == IGNORE) & stripe] = 255
    return blended


COLUMNS: dict[str, tuple[str, Callable[[ndarray, ndarray], ndarray]]] = {
    "image": ("image", lambda image, _: image),
    "plain_cam": ("plain CAM", draw_heat),
    "cam": ("CAM", draw_heat),
    "regions": ("regions", draw_regions),
    "masked": ("masked view", draw_masked),
    "pseudo_label": ("pseudo-label", draw_labels),
    "prediction": ("prediction", draw_labels),
    "teacher": ("teacher", draw_labels),
    "truth": ("truth", draw_labels),
}
"""Field of ``GridRow`` → heading of its column, and the function that draws it; tags are drawn after the image."""


def grid_picture(rows: Sequence[GridRow], classes: tuple[str, ...], cell: int = 192) -> Image.Image:
    """A row for each image, with the columns of ``COLUMNS``, and a legend.

    Args:
        rows: at least one. Columns that are ``None`` in all rows are left out.
        classes: names of the K foreground classes.
        cell: side of the square of each picture, in pixels.
    """
    fields = [field for field in COLUMNS if any(getattr(row, field) is not None for row in rows)]
    tags_width = cell * 5 // 8
    lefts = [_GAP]  # of the image, of the tags, of the other columns
    for width in (cell, tags_width, *[cell] * (len(fields) - 2)):
        lefts.append(lefts[-1] + width + _GAP)
    width, header = lefts[len(fields)] + (cell if len(fields) > 1 else tags_width) + _GAP, cell // 6
    sheet = Image.new("RGB", (width, header + len(rows) * (cell + _GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=max(11, cell // 12))
    places = [lefts[0], *lefts[2:]]
    headings = [(places[index], cell, _heading(field, fields)) for index, field in enumerate(fields)]
    for left, span, heading in [*headings, (lefts[1], tags_width, "tags")]:
        draw.text((left + span / 2, header / 2), heading, fill=_INK, font=font, anchor="mm")
    for number, row in enumerate(rows):
        top = header + number * (cell + _GAP)
        _write_tags(draw, row.tags, classes, (lefts[1], top, tags_width, cell))
        for left, field in zip(places, fields, strict=False):
            if getattr(row, field) is None:
                draw.rectangle((left, top, left + cell - 1, top + cell - 1), fill=_PALE)
                continue
            picture = fitted(Image.fromarray(COLUMNS[field][1](row.image, getattr(row, field))), cell)
            sheet.paste(picture, (left + (cell - picture.width) // 2, top + (cell - picture.height) // 2))
    return stack([sheet, draw_legend(_legend(rows, classes), width, font_size=max(11, cell // 14))])


def _heading(field: str, fields: Sequence[str]) -> str:
    """The heading of a column among others."""
    return "student" if field == "prediction" and "teacher" in fields else COLUMNS[field][0]


def _write_tags(
    draw: ImageDraw.ImageDraw, tags: tuple[str, ...], classes: tuple[str, ...], box: tuple[int, int, int, int]
) -> None:
    """Write the tags with their colours, one in a line, into a box (left, top, width, height); those that do not fit
    are counted in the last line.
    """
    left, top, width, height = box
    size = max(10, height // 14)
    font, line = ImageFont.load_default(size=size), size * 3 // 2
    most = max(1, (height - line) // line)
    names = list(tags) or ["(no tag)"]
    if len(names) > most:
        names = [*names[: most - 1], f"and {len(names) - most + 1} more"]
    y = top + (height - line * len(names)) // 2
    for name in names:
        shown = shortened(name, font, width - 2 * size)
        if name in classes:
            fill = colour(classes.index(name) + 1)
            draw.rectangle((left, y, left + size - 1, y + size - 1), fill=fill, outline=(90, 90, 90))
        draw.text((left + size * 3 // 2, y + size // 2), shown, fill=_INK, font=font, anchor="lm")
        y += line


def _legend(rows: Sequence[GridRow], classes: tuple[str, ...]) -> list[tuple[str, Colour]]:
    """Entries of the regions, if there are any, and of the labels that occur."""
    entries = [REGIONS[region] for region in sorted(REGIONS)] if any(r.regions is not None for r in rows) else []
    maps = [m for r in rows for m in (r.pseudo_label, r.prediction, r.teacher, r.truth) if m is not None]
    present = sorted({int(label) for labels in maps for label in np.unique(labels)})
    names = label_names(classes)
    entries += [(names[label], colour(label)) for label in present if 0 < label < len(names)]
    return entries + ([("ignored", (255, 255, 255))] if IGNORE in present else [])
