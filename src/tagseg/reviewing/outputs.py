"""The files of a review: the queue as a table, its front as a picture."""

from __future__ import annotations

import logging
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tagseg.data.images import read_image
from tagseg.errors import TagsegError
from tagseg.inference import export
from tagseg.inference.contact_sheet import TILE, Tile, contact_sheet
from tagseg.model.network import Network
from tagseg.reviewing.measure import NAMES, Measured
from tagseg.reviewing.queue import Reviewed
from tagseg.reviewing.reasons import DIFFER

TABLE = "review.csv"
WIDTH = 34
"""Letters of a line of a caption."""
HEADER = ("rank", "image", "score", "estimated_iou", "why", *NAMES)

logger = logging.getLogger("tagseg")


def save_table(path: Path, photos: Sequence[Reviewed]) -> None:
    """Write the queue as CSV, first the photo to correct first; a signal that is not known is an empty cell.

    Raises:
        TagsegError: the file cannot be written.
    """
    rows = (
        (rank, photo.image, f"{photo.score:.4f}", f"{photo.iou:.4f}", photo.why,
         *("" if math.isnan(photo.signals[name]) else f"{photo.signals[name]:.4f}" for name in NAMES))
        for rank, photo in enumerate(photos, start=1)
    )  # fmt: skip
    export.save_table(path, HEADER, rows)


def save_sheet(
    path: Path, photos: Sequence[Reviewed], order: Sequence[int], measured: Mapping[int, Measured],
    network: Network,
) -> Path | None:  # fmt: skip
    """Draw photos with what was found in them; ``None`` if none of them can be read any more.

    Args:
        path: the picture.
        photos: the front of the queue.
        order: their keys.
        measured: their label maps, by key.
        network: whose classes and colours they have.

    Raises:
        TagsegError: the file cannot be written.
    """

    def tiles() -> Iterator[Tile]:
        for rank, (photo, key) in enumerate(zip(photos, order, strict=True), start=1):
            try:
                pixels = read_image(photo.image)
            except TagsegError as error:  # it was read before; something else has changed it
                logger.warning("%s: not on the contact sheet", error)
                continue
            caption = f"{rank} · IoU {100 * photo.iou:.0f} % · {photo.name}\n{_lines(photo.why)}"
            yield _tile(pixels, measured[key], caption)

    drawn = list(tiles())
    if not drawn:
        return None
    contact_sheet(drawn, path, network.classes, colours=network.colours)
    return path


def _tile(pixels: np.ndarray, measured: Measured, caption: str) -> Tile:
    """The photo shrunk to the side of a tile, so that few pixels are held, and its label map at the same size."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((2 * TILE, 2 * TILE))
    mask = Image.fromarray(measured.labels).resize(picture.size, Image.Resampling.NEAREST)
    return Tile(np.asarray(picture), np.asarray(mask), caption)


def _lines(why: str) -> str:
    """The reason on at most two lines of a caption; the sheet cuts what is too long."""
    first, *others = textwrap.wrap(why.removeprefix(DIFFER), WIDTH)
    return "\n".join([first, " ".join(others)])
