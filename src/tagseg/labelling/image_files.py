"""Photos for other trainers: the file itself where every loader reads it alike, else the photo as tagseg reads it.

A mask has its photo's size and frame as displayed. Many loaders leave out the EXIF rotation, or clip 16 bits: they
would pair the mask with another picture. Such photos are written anew.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image

from tagseg.data.images import opened, read_image, stored_frame
from tagseg.data.jpeg_files import save_jpeg
from tagseg.data.pixels import Stored, is_plain
from tagseg.files import replacing

Transfer = Literal["link", "copy"]
"""``link``: hard links where the disk allows it, else copies."""

_SUFFIXES = {"JPEG": (".jpg", ".jpeg"), "MPO": (".jpg", ".jpeg"), "PNG": (".png",), "BMP": (".bmp",)}
"""Formats that every loader reads, with the endings that tell them."""
_QUALITY = 95


class ImageFile(NamedTuple):
    """What is to become of a photo's file.

    Attributes:
        suffix: of the file to make, e.g. ``.jpg``.
        as_it_is: whether it is linked or copied; else it is written anew, upright and in 8-bit RGB.
    """

    suffix: str
    as_it_is: bool


def image_file(path: Path, jpeg: bool = False) -> ImageFile:
    """What is to become of a photo's file; its header is read.

    Args:
        path: the photo.
        jpeg: whether only JPEG will do.

    Raises:
        TagsegError: the file is absent or is no image.
    """
    orientation = stored_frame(path).orientation
    with opened(path) as image:
        plain = image.mode in ("L", "RGB") and is_plain(image, Stored.of(image)) and not image.has_transparency_data
        suffixes = _SUFFIXES.get(image.format or "", ())
    is_jpeg = ".jpg" in suffixes
    if orientation == 1 and plain and suffixes and (is_jpeg or not jpeg):
        given = path.suffix.lower()
        return ImageFile(given if given in suffixes and not jpeg else suffixes[0], True)
    return ImageFile(".jpg" if is_jpeg or jpeg else ".png", False)


def transfer(source: Path, target: Path, file: ImageFile, how: Transfer) -> None:
    """Make ``target`` from a photo; afterwards it is whole or not there.

    Raises:
        TagsegError: the photo cannot be read or the target not be written.
    """
    if not file.as_it_is:
        picture = Image.fromarray(read_image(source))
        if file.suffix == ".jpg":
            save_jpeg(target, picture, _QUALITY, subsampling=0)
            return
        with replacing(target) as temporary:
            picture.save(temporary, format="PNG")
        return
    real = os.path.realpath(source)
    with replacing(target) as temporary:
        if how == "link":
            try:
                os.link(real, temporary)
                return
            except OSError:  # another disk, one without hard links, or files of another owner
                pass
        shutil.copyfile(real, temporary)
