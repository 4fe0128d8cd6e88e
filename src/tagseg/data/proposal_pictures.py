"""Class-agnostic masks as PNG pictures: what the pixel values mean, and reading them as segment maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int32, Shaped
from numpy import ndarray
from PIL import Image

from tagseg.data.images import opened
from tagseg.data.mask_pixels import refuse_damaged
from tagseg.data.segments import separate_regions, smaller_on_top
from tagseg.errors import TagsegError

Kind: TypeAlias = Literal["binary", "segments", "saliency"]
"""What the values of a picture mean: a mask of two values, a segment's id (or colour), or a degree of saliency."""
KIND_FLAG = "--labels.kind"
"""The setting that says it, for messages."""

MOST_LOOKED_AT = 16
"""Pictures, taken evenly, that tell what all of a folder are."""
MANY_VALUES = 16
"""Pictures of fewer values tell less; they are believed only where none has more."""
SOLID, LOOSE = 0.6, 0.3
"""Of a pixel's neighbours, this share has the pixel's value, on average over the values: at least in segments, at most
in the soft edges of a saliency map."""
SMOOTH, STEEP = 0.75, 0.6
"""Of neighbours that differ, this share differs by 2 levels or less: at least in the slopes of a saliency map, at most
between segments. Superpixels numbered row by row have some 0.4."""


@dataclass(frozen=True)
class Picture:
    """Reads one picture as a segment map, at its own size.

    Attributes:
        path: the PNG file.
        kind: ``binary``: each separate region of what is not 0 is a segment. ``segments``: each value or colour but 0
            and black is a segment, whether connected or not. ``saliency``: like ``binary``, where the saliency is at
            least half of the picture's maximum.
    """

    path: Path
    kind: Kind

    def __call__(self) -> Int32[ndarray, "h w"]:
        """Ids 1, 2, ...; 0 where there is no segment.

        Raises:
            TagsegError: the file is damaged or not of its kind.
        """
        values, coloured = read_values(self.path)
        if self.kind == "segments":
            found, numbers = _numbered(values)
            return numbers if found[0] == 0 else numbers + np.int32(1)
        return separate_regions(_inside(self.path, values, coloured, self.kind))


@dataclass(frozen=True)
class PictureStack:
    """Reads several pictures, each the mask of one segment, as one segment map. The smaller segment is on top.

    Attributes:
        paths: the PNG files, all of one size; at least one.
        kind: ``binary`` (0 and one other value) or ``saliency``, from half of the maximum on.
    """

    paths: tuple[Path, ...]
    kind: Kind

    def __call__(self) -> Int32[ndarray, "h w"]:
        """Segment i + 1 is picture i; 0 where there is no segment.

        Raises:
            TagsegError: a file is damaged, not of its kind, or of another size than the first.
        """
        size = read_values(self.paths[0])[0].shape
        return smaller_on_top(self._masks((size[0], size[1])), (size[0], size[1]))

    def _masks(self, size: tuple[int, int]) -> Iterator[Bool[ndarray, "h w"]]:
        for path in self.paths:
            values, coloured = read_values(path)
            if values.shape != size:
                height, width = values.shape
                expected = f"expected {size[1]}×{size[0]} like {self.paths[0].name}"
                raise TagsegError(
                    f"the mask {path} is {width}×{height}, {expected}: make all masks of a photo one size"
                )
            yield _inside(path, values, coloured, self.kind)


def _inside(path: Path, values: Int32[ndarray, "h w"], coloured: bool, kind: Kind) -> Bool[ndarray, "h w"]:
    if kind == "saliency":
        if coloured:
            expected = "expected grey levels of saliency"
            raise TagsegError(f"{path} has colours, {expected}: save it in grey, or set {KIND_FLAG} to segments")
        return (values > 0) & (2 * values.astype(np.int64) >= values.max())
    inside: Bool[ndarray, "h w"] = values != 0
    if (values[inside] != values.max()).any():
        count = np.count_nonzero(_numbered(values)[0])
        expected = "expected a binary mask, 0 and one other"
        raise TagsegError(
            f"{path} has {count} values beside 0, {expected}: save it so, or set {KIND_FLAG} to what it is"
        )
    return inside


def read_values(path: Path) -> tuple[Int32[ndarray, "h w"], bool]:
    """The pixel values of a mask's PNG, and whether they are colours (24 bits: red, green, blue).

    Grey is read as its level, also from RGB and palettes of greys; other palettes as their indices.

    Raises:
        TagsegError: the file is absent, damaged or transparent.
    """
    with opened(path) as image:
        refuse_damaged(path, image)
        if image.mode in ("LA", "PA", "RGBA"):
            whole = image.convert("RGBA")
            if whole.getchannel("A").getextrema() != (255, 255):
                expected = "expected a mask of opaque pixels"
                raise TagsegError(f"{path} is partly transparent, {expected}: save the mask alone, in black and white")
            return _without_colour(np.array(whole.convert("RGB")))
        if image.mode == "RGB":
            return _without_colour(np.array(image))
        if image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
            raise TagsegError(f"the mask {path} is {image.mode}, expected grey, palette or RGB: convert it")
        values = np.array(image).astype(np.int32)
        if image.mode == "P":
            values = _palette_greys(image, values)
        return values, False


def _palette_greys(image: Image.Image, indices: Int32[ndarray, "h w"]) -> Int32[ndarray, "h w"]:
    """The grey levels where all used colours are different greys (0 need not be black), else the indices."""
    colours = np.array(image.getpalette("RGB") or [], np.int32).reshape(-1, 3)
    used = np.unique(indices)
    if used[-1] >= len(colours):
        return indices
    shown = colours[used]
    grey = (shown == shown[:, :1]).all() and len(np.unique(shown[:, 0])) == len(used)
    return colours[indices, 0] if grey else indices


def _without_colour(rgb: Shaped[ndarray, "h w 3"]) -> tuple[Int32[ndarray, "h w"], bool]:
    red, green, blue = np.moveaxis(rgb.astype(np.int32), 2, 0)
    if (red == green).all() and (green == blue).all():
        return red, False
    return red << 16 | green << 8 | blue, True


def _numbered(values: Int32[ndarray, "h w"]) -> tuple[Shaped[ndarray, " n"], Int32[ndarray, "h w"]]:
    """The n values that occur, ascending, and for each pixel the place of its value among them."""
    if values.max() < 2**16:  # sorting millions of pixels takes a second
        found = np.flatnonzero(np.bincount(values.ravel()))
        place = np.zeros(found[-1] + 1, np.int32)
        place[found] = np.arange(len(found))
        return found, place[values]
    found, numbers = np.unique(values, return_inverse=True)
    return found, numbers.reshape(values.shape).astype(np.int32)


def recognise(paths: Sequence[Path]) -> Kind:
    """What the pictures of a folder are, by looking at some of them.

    All binary (0 and one of 1, 255, 65535): ``binary``. Else the ones of more values decide: by whether most pixels
    have their neighbours' value, and whether neighbours that differ differ by little.

    Raises:
        TagsegError: a file cannot be read, or it cannot be told; the message names ``KIND_FLAG``.
    """
    some = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, MOST_LOOKED_AT).round().astype(int))]
    verdicts = [(path, *_verdict(path)) for path in some]
    several = [each for each in verdicts if each[1] != "binary"]
    decisive = [each for each in several if each[2] >= MANY_VALUES] or several
    if not decisive:
        return "binary"
    kinds = {kind for _, kind, _ in decisive}
    if len(kinds) == 1 and (kind := kinds.pop()) != "unknown":
        return kind
    path, kind, count = next((each for each in decisive if each[1] == "unknown"), decisive[0])
    what = f"of {count} values, looks neither like segments nor like a saliency map"
    if kind != "unknown":
        other = next(each for each in decisive if each[1] != kind)
        what = f"looks like {kind}, but {other[0]} like {other[1]}"
    raise TagsegError(f"{path} {what}, expected one kind of masks: set {KIND_FLAG} to binary, segments or saliency")


def _verdict(path: Path) -> tuple[Kind | Literal["unknown"], int]:
    """What one picture looks like, and the number of its values."""
    values, coloured = read_values(path)
    found, numbers = _numbered(values)
    if len(found) == 1 and found[0] in (0, 1, 255, 65535):
        return "binary", 1
    if len(found) == 2 and found[0] == 0 and found[1] in (1, 255, 65535):
        return "binary", 2
    solid = _equal_neighbours(numbers, len(found)).mean()
    if coloured:  # colours are no degrees
        return ("segments" if solid >= SOLID else "unknown"), len(found)
    differences = np.concatenate([np.abs(np.diff(values, axis=axis)).ravel() for axis in (0, 1)])
    differences = differences[differences > 0]
    smooth = (differences <= 2).mean() if differences.size else 0.0
    if solid <= LOOSE or (smooth >= SMOOTH and len(found) >= 2 * MANY_VALUES):
        return "saliency", len(found)
    if solid >= SOLID and (smooth <= STEEP or len(found) < MANY_VALUES):
        return "segments", len(found)
    return "unknown", len(found)


def _equal_neighbours(numbers: Shaped[ndarray, "h w"], count: int) -> Float[ndarray, " count"]:
    """For each value 0 to count-1: of all neighbours of its pixels, the share that has the same value."""
    same = np.zeros(count)
    every = np.zeros(count)
    for one, other in ((numbers[:, :-1], numbers[:, 1:]), (numbers[:-1], numbers[1:])):
        same += 2 * np.bincount(one[one == other], minlength=count)
        every += np.bincount(one.ravel(), minlength=count) + np.bincount(other.ravel(), minlength=count)
    return np.divide(same, every, out=np.ones(count), where=every > 0)
