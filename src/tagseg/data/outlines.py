"""Rasterising object outlines as COCO stores them: polygons and run lengths."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray


class RunLengths(NamedTuple):
    """A mask as run lengths down the columns, background first; ``size`` is (H, W), ``counts`` numbers or text."""

    size: tuple[int, int]
    counts: ndarray | str

    def decode(self) -> Bool[ndarray, "H W"]:
        """The mask.

        Raises:
            ValueError: the runs do not add up to its size, or the text is damaged.
        """
        height, width = self.size
        counts = decode_counts(self.counts) if isinstance(self.counts, str) else self.counts
        if ((counts < 0) | (counts > height * width)).any() or counts.sum() != height * width:
            raise ValueError(f"run lengths that add up to {counts.sum()} pixels instead of {height}×{width}")
        values = np.arange(len(counts)) % 2 == 1
        return np.repeat(values, counts).reshape(width, height).T


Outline: TypeAlias = tuple[ndarray, ...] | RunLengths
"""Polygons, each x0, y0, x1, y1, ..., or run lengths."""


def read_outline(segmentation: Any) -> Outline:
    """An annotation's ``segmentation``, as JSON has it.

    Raises:
        ValueError, TypeError, KeyError: it is neither polygons nor run lengths.
    """
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        try:
            height, width = (int(side) for side in segmentation["size"])
            return RunLengths((height, width), counts if isinstance(counts, str) else np.asarray(counts, np.int64))
        except OverflowError as error:
            raise ValueError(f"run lengths that are no mask's ({error})") from error
    with np.errstate(over="ignore"):  # too large for float32: infinite, refused below
        polygons = tuple(np.asarray(polygon, np.float32) for polygon in segmentation)  # a fifth of the lists' memory
    if not all(p.ndim == 1 and len(p) % 2 == 0 and np.isfinite(p).all() for p in polygons):
        raise ValueError("a polygon that is not x0, y0, x1, y1, ...")
    return polygons


def draw_outline(outline: Outline, size: tuple[int, int]) -> Bool[ndarray, "H W"]:
    """The mask of an outline, of that (H, W).

    Raises:
        ValueError: run lengths are damaged or of another size.
    """
    if isinstance(outline, RunLengths):
        if outline.size != size:
            raise ValueError(f"run lengths of the size {outline.size} instead of {size}")
        return outline.decode()
    canvas = np.zeros(size, bool)
    for polygon in outline:
        fill_polygon(canvas, polygon)
    return canvas


def decode_counts(text: str) -> Int[ndarray, " n"]:
    """Run lengths from COCO's text.

    A number is stored as groups of 5 bits, the lowest first, each in one character (code minus 48). Bit 6 of a
    character: more groups follow. The top bit of the last group is the sign. From the fourth number on, the difference
    to the number two places before is stored.

    Raises:
        ValueError: a character is out of range or the last number incomplete.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64:
            raise ValueError(f"the character {character!r} in run lengths")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("run lengths that break off")
    if any(abs(count) >= 2**62 for count in counts):
        raise ValueError("run lengths that are no mask's")
    return np.array(counts, np.int64)


def fill_polygon(canvas: Bool[ndarray, "H W"], polygon: Float[ndarray, " xy"]) -> None:
    """Set the pixels whose centre is inside a polygon (x0, y0, x1, y1, ...), by the even-odd rule, in place.

    Pixel (row, column) has its centre at (x = column + 0.5, y = row + 0.5). The edges are intersected with the centre
    line of each row; each intersection toggles inside and outside for the pixels to its right.
    """
    height, width = canvas.shape
    x, y = polygon[0::2].astype(np.float64), polygon[1::2].astype(np.float64)
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    # an edge crosses rows start ≤ row < stop: half-open, so that a shared corner counts once
    start = np.ceil(np.minimum(y, next_y) - 0.5).clip(0, height).astype(int)
    stop = np.ceil(np.maximum(y, next_y) - 0.5).clip(0, height).astype(int)
    cuts = stop - start
    if not cuts.any():
        return
    edge = np.repeat(np.arange(len(x)), cuts)
    row = np.arange(cuts.sum()) - np.repeat(cuts.cumsum() - cuts - start, cuts)
    slope = (next_x - x)[edge] / (next_y - y)[edge]
    column = np.ceil(x[edge] + (row + 0.5 - y[edge]) * slope - 0.5).clip(0, width).astype(int)

    top, left, right = row.min(), column.min(), column.max()
    box = canvas[top : row.max() + 1, left:right]
    toggles = np.zeros((box.shape[0], box.shape[1] + 1), int)
    np.add.at(toggles, (row - top, column - left), 1)
    box |= toggles[:, :-1].cumsum(axis=1) % 2 == 1
