"""The pixels of one mask file as they are stored: grey levels, palette indices or colours, not what a viewer shows."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int32, Shaped
from numpy import ndarray
from PIL import Image

from tagseg.data.images import opened
from tagseg.data.png_checksums import damaged_chunk
from tagseg.errors import TagsegError

EXTENSIONS = (".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".pbm", ".ppm", ".pnm", ".tga")
"""File name endings of masks, in lower case: formats that keep each pixel exactly."""
INEXACT = (".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".avif", ".heic")
"""Endings of formats that change pixels; a mask in one of them is not read."""

Kind = Literal["bilevel", "grey", "palette", "colour"]

_SCALED = {"L;2": 85, "L;4": 17}
"""What Pillow multiplies the levels of 2-bit and 4-bit grey by."""
_WAY_OUT = "save it as a PNG of class ids"


class Pixels(NamedTuple):
    """What a mask file holds.

    Attributes:
        values: (H, W): 0 and 1 of a bilevel file, grey levels, palette indices, or colours packed as ``rgb``.
        kind: which of these.
        palette: (256,) of a palette file: the packed colours, -1 where it defines none.
        dropped_alpha: whether an alpha channel was left out; it was opaque everywhere.
    """

    values: Int32[ndarray, "H W"]
    kind: Kind
    palette: Int32[ndarray, " 256"] | None = None
    dropped_alpha: bool = False

    def used(self) -> Shaped[ndarray, " n"]:
        """The values that occur, ascending."""
        if self.values.size and self.values.min() >= 0 and self.values.max() < 2**16:
            return np.flatnonzero(np.bincount(self.values.ravel()))  # sorting millions of pixels takes a second
        return np.unique(self.values)

    def colours(self) -> Shaped[ndarray, " n"]:
        """The packed colour of each of the used values, in their order; grey levels are greys."""
        used = self.used()
        if self.palette is not None:
            return self.palette[used]
        return used if self.kind == "colour" else used * 0x010101


def packed(red: int, green: int, blue: int) -> int:
    """A colour, 0 to 255 each, as one number."""
    return red << 16 | green << 8 | blue


def unpacked(colour: int) -> tuple[int, int, int]:
    """Red, green and blue of a packed colour."""
    return colour >> 16 & 255, colour >> 8 & 255, colour & 255


def written(colour: int) -> str:
    """A packed colour as people write it: ``48,112,32``."""
    return ",".join(map(str, unpacked(colour)))


def read_pixels(path: Path) -> Pixels:
    """Read a mask file.

    Raises:
        TagsegError: it is absent or damaged, of a format or mode that does not keep ids exactly, partly transparent, or
            holds several pictures.
    """
    with opened(path) as image:
        _refuse_inexact(path, image)
        raw_mode = _raw_mode(image)
        refuse_damaged(path, image)
        mode = image.mode
        if mode in ("LA", "RGBA"):
            if image.getchannel("A").getextrema() != (255, 255):
                raise TagsegError(f"the mask {path} is partly transparent, expected opaque pixels: {_WAY_OUT}")
            return _pixels(path, image.convert(mode[:-1]))._replace(dropped_alpha=True)
        pixels = _pixels(path, image)
        scale = _SCALED.get(raw_mode[:3], 1) if mode == "L" else 1
        return pixels if scale == 1 else pixels._replace(values=pixels.values // np.int32(scale))


def _pixels(path: Path, image: Image.Image) -> Pixels:
    mode = image.mode
    if mode == "1":
        return Pixels(np.array(image).astype(np.int32), "bilevel")
    if mode == "L" or mode.startswith("I"):
        return Pixels(np.array(image).astype(np.int32), "grey")
    if mode == "F":
        levels = np.array(image)
        if not (np.isfinite(levels).all() and (levels == np.round(levels)).all()):
            raise TagsegError(f"the mask {path} holds fractions, expected integers: {_WAY_OUT}")
        return Pixels(levels.astype(np.int32), "grey")
    if mode == "P":
        rgb = np.array(image.getpalette("RGB") or [], np.int32).reshape(-1, 3)[:256]
        palette = np.full(256, -1, np.int32)
        palette[: len(rgb)] = rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]
        return Pixels(np.array(image).astype(np.int32), "palette", palette)
    if mode == "RGB":
        red, green, blue = np.moveaxis(np.array(image).astype(np.int32), 2, 0)
        return Pixels(red << 16 | green << 8 | blue, "colour")
    raise TagsegError(f"the mask {path} is {mode}, expected grey, palette or RGB: {_WAY_OUT}")


def _raw_mode(image: Image.Image) -> str:
    """How the file stores a pixel, in Pillow's words, before it is decoded; empty where the decoder does not say."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    first = arguments[0] if isinstance(arguments, tuple | list) and arguments else arguments
    return first if isinstance(first, str) else ""


def _refuse_inexact(path: Path, image: Image.Image) -> None:
    form = image.format or ""
    compression = str(image.info.get("compression", ""))
    if form in ("JPEG", "MPO", "JPEG2000", "AVIF") or (form == "WEBP" and _is_lossy_webp(path)):
        what = f"a {'JPEG' if form == 'MPO' else form} file, whose pixels are not exact"
        raise TagsegError(f"the mask {path} is {what}, expected a format that keeps ids: {_WAY_OUT}")
    if form == "TIFF" and compression in ("jpeg", "tiff_jpeg", "webp"):
        raise TagsegError(f"the mask {path} is compressed by {compression}, expected exact pixels: {_WAY_OUT}")
    if getattr(image, "n_frames", 1) > 1:
        count = getattr(image, "n_frames", 1)
        raise TagsegError(f"the mask {path} holds {count} pictures, expected one of class ids: {_WAY_OUT}")
    if image.mode in ("RGB", "RGBA", "LA") and "16" in _raw_mode(image):
        raise TagsegError(f"the mask {path} has 16-bit channels, expected 8 bits or grey of 16 bits: {_WAY_OUT}")


def refuse_damaged(path: Path, image: Image.Image) -> None:
    """Raise ``TagsegError`` if the checksums of a PNG file say that its pixels are not those that were written."""
    image.load()  # first: the decoder knows better what is wrong with a file that it cannot read
    chunk = damaged_chunk(path) if image.format == "PNG" else ""
    if chunk:
        raise TagsegError(f"the mask {path} is damaged (the checksum of {chunk} is wrong), expected it whole: copy it "
                          "again")  # fmt: skip


def _is_lossy_webp(path: Path) -> bool:
    """Whether the picture's chunk is ``VP8 ``; a lossless one is ``VP8L``."""
    content = path.read_bytes()
    at = 12
    while at + 8 <= len(content):
        chunk = content[at : at + 4]
        if chunk in (b"VP8 ", b"VP8L"):
            return chunk == b"VP8 "
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return True
