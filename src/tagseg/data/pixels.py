"""An opened image of any mode as 8-bit RGB, and in what that is not literally what the file holds.

Transparent pixels get a white background. Of more than 8 bits a picture is scaled and not clipped: by the bits that
its values take, as cameras and microscopes store 10, 12 or 14 bits in files of 16.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageFile

FEWER_BITS = "images that hold {} bits a value in files of 16, scaled by what they hold"
NO_TRANSPARENCY = "images whose fourth band is no transparency: their colours are used, without it"
"""All zero, or hardly anywhere opaque and of many values, e.g. near-infrared."""
MORE_BANDS = "images with more bands than red, green and blue, which alone are used"
SEVERAL = "images of several pages or frames, of which the first is used"
REMARKS = (*(FEWER_BITS.format(bits) for bits in (8, 10, 12, 14)), NO_TRANSPARENCY, MORE_BANDS, SEVERAL)
"""Everything that can be remarked on a picture."""

_SUBFILE_TYPE = 254
_BITS = (8, 10, 12, 14, 16)
_OPAQUE_SHARE = 0.01
"""A transparency is opaque in at least this share of the pixels, or has few values."""
_AT_ONCE = 1 << 20
"""Values that are scaled at a time."""
_FEW_VALUES = 16
_FAINT = 32
"""A transparency that nowhere reaches this would leave nothing to see."""


class Stored(NamedTuple):
    """How an image lies in its file; known only until it is decoded.

    Attributes:
        codec: what decodes it.
        modes: the raw modes that it is decoded from, e.g. ``RGB;16B``.
        several: whether there are more pages or frames.
    """

    codec: str
    modes: tuple[str, ...]
    several: bool

    @classmethod
    def of(cls, image: Image.Image) -> Stored:
        """Of an image that was opened and not yet decoded."""
        tiles = getattr(image, "tile", ())
        arguments = [tile[3] for tile in tiles]
        words = [word for one in arguments for word in (one if isinstance(one, tuple | list) else (one,))]
        modes = tuple(word for word in words if isinstance(word, str))
        return cls(str(tiles[0][0]) if tiles else "", modes, _has_several(image))


IN_MEMORY = Stored("", (), False)
"""Of a picture that a program made, or has decoded."""


def to_rgb(image: Image.Image, stored: Stored) -> tuple[Image.Image, tuple[str, ...]]:
    """The picture in mode RGB, decoded, and remarks (of ``REMARKS``) on how it was read.

    Colours of more than 8 bits have lost their low bits; see ``is_deep_and_dark``.

    Raises:
        ValueError: grey values out of range.
    """
    remarks: tuple[str, ...] = (SEVERAL,) if stored.several else ()
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow scales any maximum of a PGM file to 16 bits
        grey, bits = _to_8_bits(np.asarray(image), full_range=stored.codec == "ppm")
        fewer = (FEWER_BITS.format(bits),) if bits else ()
        return Image.fromarray(grey).convert("RGB"), (*remarks, *fewer)
    if image.format == "TIFF" and image.mode in ("RGB", "RGBA", "RGBX") and any("X" in mode for mode in stored.modes):
        remarks = (*remarks, MORE_BANDS)
    if not image.has_transparency_data:
        return image.convert("RGB"), remarks
    rgba = image.convert("RGBA")
    if image.mode in ("RGBA", "LA") and not _is_transparency(rgba.getchannel("A")):
        return rgba.convert("RGB"), (*remarks, NO_TRANSPARENCY)
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB"), remarks


def is_plain(image: Image.Image, stored: Stored) -> bool:
    """Whether an image that was opened is certainly read without a remark."""
    bands = image.mode in ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB")
    return bands and not stored.several and not any("X" in mode or ";16" in mode for mode in stored.modes)


def is_deep_and_dark(image: Image.Image, stored: Stored) -> bool:
    """Whether a decoded image of 16-bit colours may hold fewer bits, as the high bytes of its values are all small."""
    if image.mode not in ("RGB", "RGBA") or not any(";16" in mode for mode in stored.modes):
        return False
    return int(np.asarray(image)[..., :3].max()) < 64


def deep_rgb(image: Image.Image, again: Image.Image) -> tuple[UInt8[ndarray, "H W 3"], tuple[str, ...]]:
    """Colours of 16 bits scaled by what they hold, from the decoded image and the same file, opened anew.

    Pillow keeps the high bytes alone; told that the bytes lie in the other order, it keeps the low ones.

    Raises:
        ValueError: a file whose bytes Pillow cannot read in the other order.
    """
    assert isinstance(again, ImageFile.ImageFile)
    again.tile = [_swapped(tile) for tile in again.tile]
    again.load()
    high, low = (np.asarray(one)[..., :3].astype(np.uint16) for one in (image, again))
    values = high << 8 | low
    grey, bits = _to_8_bits(values, full_range=False)
    return grey, (FEWER_BITS.format(bits),) if bits else ()


def _to_8_bits(values: ndarray, *, full_range: bool) -> tuple[UInt8[ndarray, "*shape"], int]:
    """Scale values of more than 8 bits: integers of 0 to 65535, floats of 0 to 1; and how many bits they hold.

    The number of bits is 0 where they are what the file says. Other ranges raise ``ValueError``.
    """
    is_float = values.dtype.kind == "f"
    low, high = values.min(), values.max()
    most = 1 if is_float else 65535
    if not (low >= 0 and high <= most):  # also true of NaN
        way_out = "floats are scaled from 0 to 1" if is_float else "integers from 0 to 65535"
        raise ValueError(f"its grey values go from {low} to {high}, and {way_out}")
    bits = next(bits for bits in _BITS if is_float or full_range or high < 1 << bits)
    if is_float or full_range or bits == 16 or high == 0:
        return _scaled(values, most), 0
    return _scaled(values, (1 << bits) - 1), bits


def _scaled(values: ndarray, most: int) -> UInt8[ndarray, "*shape"]:
    scaled = np.empty(values.shape, np.uint8)
    step = max(1, _AT_ONCE // max(1, values[:1].size))
    for row in range(0, len(values), step):  # all at once would take 24 bytes a pixel
        scaled[row : row + step] = np.round(values[row : row + step].astype(np.float64) * (255 / most))
    return scaled


def _is_transparency(alpha: Image.Image) -> bool:
    """Whether a fourth band can be what it is called."""
    counts = np.array(alpha.histogram())
    if counts[_FAINT:].sum() == 0:
        return False
    return bool(counts[255] >= _OPAQUE_SHARE * counts.sum() or np.count_nonzero(counts) <= _FEW_VALUES)


def _has_several(image: Image.Image) -> bool:
    """Whether there are more pages or frames; not of a photo's further views (MPO), smaller copies or layers."""
    if image.format != "TIFF":
        return image.format in ("GIF", "PNG", "WEBP", "AVIF") and bool(getattr(image, "is_animated", False))
    try:
        image.seek(1)
        is_smaller_copy = bool(image.tag_v2.get(_SUBFILE_TYPE, 0) & 1)  # type: ignore[attr-defined]
    except EOFError:
        return False
    image.seek(0)
    return not is_smaller_copy


def _swapped(tile: Any) -> Any:
    """A tile whose values of 16 bits have their bytes in the other order."""
    native = "L" if sys.byteorder == "little" else "B"
    other = {"L": "B", "B": "L", "N": "B" if native == "L" else "L"}

    def swap(word: Any) -> Any:
        mode, found, order = word.partition(";16") if isinstance(word, str) else (word, "", "")
        return f"{mode};16{other[order]}" if found and order in other else word

    arguments = tile[3]
    changed = type(arguments)(map(swap, arguments)) if isinstance(arguments, tuple | list) else swap(arguments)
    return tile._replace(args=changed) if hasattr(tile, "_replace") else (*tile[:3], changed)
