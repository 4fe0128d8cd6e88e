"""A photo that was uploaded: its name made safe, its size judged by the header, before a pixel is decoded."""

from __future__ import annotations

import re
import shutil
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO
from uuid import uuid4

from tagseg.data.images import MAX_PIXELS, opened
from tagseg.errors import TagsegError
from tagseg.serving.limits import LONGEST_SIDE, Limits
from tagseg.serving.refusals import Refused

_LONGEST_NAME = 120
"""Bytes of a stem; file systems take 255 for a name with its ending."""
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)$")
"""Names that Windows gives to devices."""


@dataclass(frozen=True)
class Arrival:
    """A photo that was uploaded.

    Attributes:
        name: of its file, safe as a name of a file anywhere.
        folder: its own.
        photo: the file in it.
    """

    name: str
    folder: Path
    photo: Path

    def told(self, error: TagsegError) -> str:
        """The message of an error, which names the photo as its owner does."""
        return str(error).replace(str(self.photo), self.name)

    def discard(self) -> None:
        """Delete the photo."""
        shutil.rmtree(self.folder, ignore_errors=True)


def safe_name(given: str | None) -> str:
    """The last part of a name or path as a name of a file, without what shells, zips or file systems take otherwise."""
    last = re.split(r"[\\/]", unicodedata.normalize("NFC", given or ""))[-1]
    path = PurePath(re.sub(r"[^\w .()+@=,-]", "_", last).strip(" ."))
    stem = path.stem.encode()[:_LONGEST_NAME].decode(errors="ignore").strip(" .")
    suffix = path.suffix if len(path.suffix.encode()) <= 10 else ""
    if not stem:
        return "photo"
    return f"_{stem}{suffix}" if _RESERVED.match(stem) else f"{stem}{suffix}"


def keep_upload(file: IO[bytes], name: str | None, within: Path, limits: Limits) -> Arrival:
    """Write an uploaded photo to a folder of its own and look at its header.

    Args:
        file: what was sent.
        name: as the client calls it.
        within: where the folder is made.
        limits: its ``pixels``.

    Raises:
        Refused: it is no photo, or has too many pixels.
    """
    folder = within / uuid4().hex
    folder.mkdir()
    safe = safe_name(name)
    arrival = Arrival(safe, folder, folder / f"photo{PurePath(safe).suffix}")
    try:
        with arrival.photo.open("wb") as copy:
            file.seek(0)
            shutil.copyfileobj(file, copy, 1 << 20)
        _check_header(arrival, limits)
    except BaseException:
        arrival.discard()
        raise
    return arrival


def _check_header(arrival: Arrival, limits: Limits) -> None:
    if not arrival.photo.stat().st_size:
        raise Refused(415, f"{arrival.name} is empty, expected a photo: choose another file")
    try:
        with opened(arrival.photo) as image:
            width, height = image.size
    except TagsegError as error:
        too_large = MAX_PIXELS in str(error)  # of a limit above ours
        line = arrival.told(error).partition(", expected")[0] if too_large else arrival.told(error)
        way_out = f", expected at most {limits.pixels:,}: make it smaller, or label it with tagseg predict"
        raise Refused(413 if too_large else 415, line + way_out if too_large else line) from None
    if width * height > limits.pixels:
        raise Refused(
            413,
            f"{arrival.name} has {width * height:,} pixels ({width} x {height}), expected at most {limits.pixels:,}: "
            "make it smaller, or start tagseg serve with a larger --max_pixels",
        )
    if max(width, height) > LONGEST_SIDE:
        raise Refused(
            413,
            f"{arrival.name} is {width} x {height} pixels, expected at most {LONGEST_SIDE:,} a side: cut it into tiles",
        )
