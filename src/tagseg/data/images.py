"""Image files of any kind, judged by their content and not by their ending, read as 8-bit RGB, as displayed.

EXIF rotation is applied; of several pages or frames the first is read. ``pixels`` says what becomes of other modes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from threading import RLock
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from tagseg.data.file_kinds import CAMERA_RAW, RAW, Kind, identify, named_file
from tagseg.data.pixels import Stored, deep_rgb, is_deep_and_dark, to_rgb
from tagseg.errors import TagsegError

_ORIENTATION = 274
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → the operation that turns the image upright; 5 to 8 swap height and width."""


DEFAULT_MAX_PIXELS = 178_956_970
"""Most pixels of an image that is read: above, a few bytes may be made to fill the memory. Pillow's own limit."""
MAX_PIXELS = "TAGSEG_MAX_PIXELS"
"""The environment variable that sets another limit, for every verb and the Python API alike."""

READING = 2
"""Changes where the pixels of a file are read in another way, so that what was computed from them is made anew."""

_pillow_unlimited = RLock()


class Picture(NamedTuple):
    """An image as read: uint8 (H, W, 3), and remarks (of ``pixels.REMARKS``) on what is not literally in the file."""

    pixels: UInt8[ndarray, "H W 3"]
    remarks: tuple[str, ...] = ()


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image without decoding its pixels; all errors of decoders become one-line ``TagsegError``s."""
    try:
        with ExitStack() as stack:
            image = _open(path, stack)
            stack.enter_context(_within_limit(path, image))
            yield image
    except (TagsegError, MemoryError):
        raise
    except FileNotFoundError:
        raise TagsegError(f"the image {path} does not exist, expected an image file: check its name") from None
    except (PermissionError, IsADirectoryError) as error:
        raise TagsegError(f"the image {path} cannot be opened ({error.strerror}), expected a file to read") from error
    except Exception as error:  # damaged files raise OSError, SyntaxError, struct.error, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        expected = "expected a complete image file: replace it or leave it out"
        raise TagsegError(f"{path} cannot be read as an image ({reason}), {expected}") from error


def _open(path: Path, stack: ExitStack) -> Image.Image:
    """The image of a file, which is closed with the stack."""
    file = stack.enter_context(path.open("rb"))
    if path.suffix.lower() in RAW:
        raise _no_photo(path, CAMERA_RAW)
    try:
        image = identify(file, path)
    except Image.DecompressionBombError:  # of formats that check by themselves
        with _pillow_without_limit():
            image = identify(file, path)
    if image is None:
        raise _no_photo(path, named_file(file))
    return image


def _no_photo(path: Path, kind: Kind) -> TagsegError:
    return TagsegError(f"{path} cannot be read as an image: it is {kind.one}, expected a photo: {kind.way_out}")


@contextmanager
def _within_limit(path: Path, image: Image.Image) -> Iterator[None]:
    """Refuse an image of more pixels than the limit; let Pillow decode what is within it."""
    pixels, limit = image.width * image.height, max_pixels()
    if pixels > limit:
        raise TagsegError(
            f"{path} has {pixels:,} pixels ({image.width} x {image.height}), expected at most {limit:,}, as a hostile "
            f"file can claim any size: allow it by setting the environment variable {MAX_PIXELS}={pixels}, cut it into "
            "tiles, or leave it out"
        )
    with _pillow_without_limit() if pixels > (Image.MAX_IMAGE_PIXELS or pixels) else nullcontext():
        yield


@contextmanager
def _pillow_without_limit() -> Iterator[None]:
    """Pillow's limit is one for the process: it is lifted by one thread at a time, and put back."""
    with _pillow_unlimited:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def max_pixels() -> int:
    """Most pixels of an image that is read: ``TAGSEG_MAX_PIXELS``, or the default.

    Raises:
        TagsegError: the environment variable is no positive integer.
    """
    text = os.environ.get(MAX_PIXELS, "").strip().replace("_", "").replace(",", "")
    if not text:
        return DEFAULT_MAX_PIXELS
    if not text.isdecimal() or int(text) < 1:
        raise TagsegError(f"the environment variable {MAX_PIXELS} is {text!r}, expected a number of pixels, 1 or more")
    return int(text)


def read_image(path: Path, reduction: int = 1) -> UInt8[ndarray, "H W 3"]:
    """Read an image of any common mode as RGB, 0 to 255, at its size as displayed (EXIF rotation applied).

    Args:
        path: the image file.
        reduction: divide the sides of a JPEG by 1, 2, 4 or 8, rounded up, which is much faster to decode. A pixel is
            then about the mean of a square of that side. Other formats, and images smaller than this, keep their size.

    Raises:
        TagsegError: the file is absent, is no image or is damaged.
    """
    return read_picture(path, reduction).pixels


def read_picture(path: Path, reduction: int = 1) -> Picture:
    """As ``read_image``, with remarks on what was read other than literally."""
    with opened(path) as image:
        stored = Stored.of(image)  # first: a TIFF file is decoded to find its orientation
        upright = _UPRIGHT.get(_orientation(image))
        if reduction > 1 and min(image.size) >= reduction:
            # no mode: grey and CMYK stay what they are. Pillow divides by the most that leaves at least this size.
            image.draft(None, (image.width // reduction, image.height // reduction))
        rgb, remarks = to_rgb(image, stored)
        if is_deep_and_dark(image, stored):
            with opened(path) as again:
                deep, fewer = deep_rgb(image, again)
            rgb, remarks = Image.fromarray(deep), (*remarks, *fewer)
        return Picture(np.array(rgb if upright is None else rgb.transpose(upright)), remarks)


class StoredFrame(NamedTuple):
    """How an image is stored: its (H, W) in pixels, and the EXIF orientation, 1 to 8, that it is displayed with."""

    size: tuple[int, int]
    orientation: int

    @property
    def displayed(self) -> tuple[int, int]:
        """(H, W) as displayed; 5 to 8 swap the two."""
        return self.size[::-1] if self.orientation >= 5 else self.size


def stored_frame(path: Path) -> StoredFrame:
    """How an image is stored and displayed; reads the header only (but decodes TIFF, which counts as upright).

    Raises:
        TagsegError: the file is absent or is no image.
    """
    with opened(path) as image:
        orientation = _orientation(image)
        return StoredFrame((image.height, image.width), orientation)


def turn_upright(ids: UInt8[ndarray, "H W"], orientation: int) -> UInt8[ndarray, "_H _W"]:
    """Turn a map from the stored frame to the displayed one, as the image of this EXIF orientation is."""
    upright = _UPRIGHT.get(orientation)
    return ids if upright is None else np.array(Image.fromarray(ids).transpose(upright))


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as displayed, in pixels; reads the header only (but decodes TIFF).

    Raises:
        TagsegError: the file is absent or is no image.
    """
    return stored_frame(path).displayed


def _orientation(image: Image.Image) -> int:
    """EXIF orientation to apply, 1 to 8, from the header alone (but TIFF is decoded)."""
    if image.format == "TIFF":
        image.load()  # Pillow turns a TIFF itself, while loading it
        return 1
    try:
        # not image.getexif(): PNG's own decodes the whole image to look for EXIF after the pixels
        orientation = Image.Image.getexif(image).get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF: viewers show such an image unturned
        return 1
    return orientation if orientation in _UPRIGHT else 1
