"""The photos that a ``Predictor`` is given: a file, a Pillow image or an array, or several of them."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from tagseg.arguments import check_path, refuse
from tagseg.data.images import Picture, image_size, read_picture
from tagseg.data.listing import list_photos, photo_paths
from tagseg.data.pixels import IN_MEMORY, to_rgb
from tagseg.errors import TagsegError

Source = Path | Image.Image | UInt8[ndarray, "_H _W 3"]
"""One photo: its file, or itself in RGB order."""
_EXPECTED = "a file, a Pillow image, or an array uint8 (height, width, 3) in RGB order"
_SEVERAL = f"{_EXPECTED}; several of them as a folder, list, tuple or iterator"
_WAYS_OUT = {
    "bytes": "open them with PIL.Image.open(io.BytesIO(data))",
    "bytearray": "open it with PIL.Image.open(io.BytesIO(data))",
    "Tensor": "give tensor.permute(1, 2, 0).numpy() where it is uint8 (3, height, width)",
    "str": "download it and give the file",
}

logger = logging.getLogger("tagseg")


def several(photos: object) -> Iterator[Source] | None:
    """The photos of a folder, list, tuple or iterator, in order; ``None`` where it is one photo.

    Those of an iterator are taken one by one; the kinds of the others are checked here, before any is read.

    Raises:
        TagsegError: a folder without photos, or something that is no photo; of an iterator, when it is taken.
    """
    if isinstance(photos, list | tuple):
        checked = [source for index, photo in enumerate(photos) for source in _expanded(photo, f"photos[{index}]")]
        return map(kept, checked)
    if isinstance(photos, str | os.PathLike):
        return iter(_expanded(photos, "photos")) if _is_folder(photos) else None
    if isinstance(photos, Iterator) and not isinstance(photos, io.IOBase | Image.Image | ndarray):
        return (kept(source) for index, photo in enumerate(photos) for source in _expanded(photo, f"photos[{index}]"))
    return None


def source_of(photo: object, name: str = "a photo") -> Source:
    """One photo, its kind and shape checked.

    Args:
        photo: what was given.
        name: what to call it in messages.

    Raises:
        TagsegError: it is of another type or shape.
    """
    if isinstance(photo, str | os.PathLike):
        if isinstance(photo, str) and "://" in photo:
            raise refuse(name, photo, f"{_SEVERAL}: {_WAYS_OUT['str']}")
        check_path(name, photo, _SEVERAL)
        path = Path(photo).expanduser()
        if any(sign in path.name for sign in "*?") and not path.exists():
            raise refuse(name, str(photo), f"{_SEVERAL}: for those of a pattern give sorted(glob.glob(pattern))")
        return path
    if isinstance(photo, Image.Image):
        return photo
    if isinstance(photo, ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
            raise TagsegError(
                f"{name} is an array of {photo.dtype} {photo.shape}, expected uint8 (height, width, 3) in RGB order"
                f"{_way_out(photo)}"
            )
        return photo
    if isinstance(photo, io.IOBase):
        raise refuse(name, photo, f"{_SEVERAL}: open it with PIL.Image.open(file)")
    way_out = _WAYS_OUT.get(type(photo).__name__)
    raise refuse(name, photo, f"{_SEVERAL}: {way_out}" if way_out else _SEVERAL)


def kept(source: Source) -> Source:
    """The photo, an array copied: its owner may write the next one into it, e.g. the frames of a video."""
    return np.array(source) if isinstance(source, ndarray) else source


def read_source(source: Source) -> Picture:
    """A photo as RGB, and remarks on what is not literally so. EXIF rotation is applied to files alone.

    Raises:
        TagsegError: an unreadable photo.
    """
    if isinstance(source, Path):
        return read_picture(source)
    if isinstance(source, ndarray):
        return Picture(source)
    if not source.width or not source.height:
        raise TagsegError(f"a Pillow image is {source.width}×{source.height}, expected at least one pixel")
    try:
        rgb, remarks = to_rgb(source, IN_MEMORY)
        return Picture(np.array(rgb), remarks)
    except (OSError, SyntaxError, ValueError) as error:
        raise TagsegError(f"a Pillow image cannot be read ({error}), expected a photo") from error


def source_size(source: Source) -> tuple[int, int]:
    """H and W of a photo in pixels as it will be read; of a file the header alone is read.

    Raises:
        TagsegError: the file is absent or is no image.
    """
    if isinstance(source, Path):
        return image_size(source)
    return (source.shape[0], source.shape[1]) if isinstance(source, ndarray) else (source.height, source.width)


def source_name(source: Source, index: int) -> str:
    """What to call a photo in messages: its path, or its place among those given."""
    return str(source) if isinstance(source, Path) else f"photos[{index}]"


def _is_folder(photo: object) -> bool:
    return isinstance(photo, str | os.PathLike) and photo != "" and Path(photo).expanduser().is_dir()


def _expanded(photo: object, name: str) -> list[Source]:
    """A photo, or the photos of a folder; what a folder holds beside them is told."""
    if not _is_folder(photo):
        return [source_of(photo, name)]
    assert isinstance(photo, str | os.PathLike)
    photos = list_photos(Path(photo).expanduser())
    paths = photo_paths(photos)
    for note in photos.notes():
        logger.log(logging.WARNING if note.warning else logging.INFO, "%s: %s", photo, note)
    return [*paths]


def _way_out(array: ndarray) -> str:
    """What to do with an array that is no photo, where it can be told."""
    if array.ndim == 4 and array.dtype == np.uint8 and array.shape[3] == 3:
        return ": for several photos give list(array)"
    if not array.size or array.ndim not in (2, 3):
        return ""
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[2] != 3:
        return ": its axes look like (3, height, width), give array.transpose(1, 2, 0) as uint8"
    if array.dtype.kind == "f":
        return ": scale it to 0 to 255 and round it, e.g. (255 * array).round().astype(numpy.uint8)"
    if array.dtype in (np.uint8, np.uint16) and (array.ndim == 2 or array.shape[2] == 4):
        return ": give PIL.Image.fromarray(array)"
    return ""
