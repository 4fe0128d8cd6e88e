"""Image files: listing them, and reading any of them as 8-bit RGB, as displayed.

EXIF rotation is applied, transparent pixels get a white background, 16-bit grey is scaled to 8 bits and not clipped.
Of an animation the first frame is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from tagseg.errors import TagsegError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
"""File name endings that count as images, in lower case; ``.JPG`` counts too."""

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


def list_files(folder: Path, extensions: tuple[str, ...]) -> list[str]:
    """Files under a folder with one of the extensions (lower case), as sorted names relative to it, with ``/``.

    Hidden files and folders are left out; links to folders are followed, each folder once.

    Raises:
        TagsegError: the folder does not exist.
    """
    if not folder.is_dir():
        raise TagsegError(f"the folder {folder} does not exist, expected a folder of files: check its path")
    names: list[str] = []
    visited: set[str] = set()
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        real = os.path.realpath(folder / inside)
        if real in visited:
            continue
        visited.add(real)
        with os.scandir(real) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.name.lower().endswith(extensions) and entry.is_file():
                    names.append(inside + entry.name)
                elif entry.is_dir():
                    waiting.append(f"{inside}{entry.name}/")
    return sorted(names)


def find_images(folder: Path) -> list[Path]:
    """All images under a folder and its sub-folders, sorted by name.

    Raises:
        TagsegError: the folder does not exist or holds no image.
    """
    paths = [folder / name for name in list_files(folder, EXTENSIONS)]
    if not paths:
        known = ", ".join(EXTENSIONS)
        raise TagsegError(f"{folder} holds no image, expected files ending in {known}: check the folder's path")
    return paths


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image without decoding its pixels; all errors of decoders become one-line ``TagsegError``s."""
    try:
        with Image.open(path) as image:
            yield image
    except TagsegError:
        raise
    except FileNotFoundError:
        raise TagsegError(f"the image {path} does not exist, expected an image file: check its name") from None
    except Exception as error:  # damaged files raise OSError, SyntaxError, struct.error, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        expected = "expected a complete JPEG, PNG, BMP, WebP, TIFF or GIF file: replace it or leave it out"
        raise TagsegError(f"{path} cannot be read as an image ({reason}), {expected}") from error


def read_image(path: Path, reduction: int = 1) -> UInt8[ndarray, "H W 3"]:
    """Read an image of any common mode as RGB, 0 to 255, at its size as displayed (EXIF rotation applied).

    Args:
        path: the image file.
        reduction: divide the sides of a JPEG by 1, 2, 4 or 8, rounded up, which is much faster to decode. A pixel is
            then about the mean of a square of that side. Other formats, and images smaller than this, keep their size.

    Raises:
        TagsegError: the file is absent, is no image or is damaged.
    """
    with opened(path) as image:
        upright = _UPRIGHT.get(_orientation(image))
        if reduction > 1 and min(image.size) >= reduction:
            # no mode: grey and CMYK stay what they are. Pillow divides by the most that leaves at least this size.
            image.draft(None, (image.width // reduction, image.height // reduction))
        rgb = _to_rgb(image)
        return np.array(rgb if upright is None else rgb.transpose(upright))


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as displayed, in pixels; reads the header only (but decodes TIFF).

    Raises:
        TagsegError: the file is absent or is no image.
    """
    with opened(path) as image:
        swapped = _orientation(image) >= 5
        return (image.width, image.height) if swapped else (image.height, image.width)


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


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_8_bits(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(grey: ndarray) -> UInt8[ndarray, "H W"]:
    """Scale grey of more than 8 bits: integers of 0 to 65535, floats of 0 to 1. Other ranges raise ``ValueError``."""
    most = 1 if grey.dtype.kind == "f" else 65535
    low, high = grey.min(), grey.max()
    if not (low >= 0 and high <= most):  # also true of NaN
        raise ValueError(f"its grey values go from {low} to {high}, only 0 to {most} can be scaled to 8 bits")
    return np.round(grey.astype(np.float64) * (255 / most)).astype(np.uint8)
