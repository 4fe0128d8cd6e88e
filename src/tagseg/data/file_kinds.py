"""What a file is, judged by its first bytes: a photo that Pillow reads, or something else that has a name."""

from __future__ import annotations

import os
import re
import struct
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from PIL import Image, ImageFile, TiffImagePlugin

EXTENSIONS = (
    ".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".jpe", ".jfif", ".apng", ".dib", ".avif",
    ".jp2", ".j2k", ".j2c", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".qoi", ".heic", ".heif", ".hif",
)  # fmt: skip
"""File name endings of images, in lower case; ``.JPG`` counts too. A photo may have another one, or none."""
JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
"""Endings of files that may be decoded at a reduced size."""
COMMON = (*JPEG, ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
"""Endings of what every Pillow reads: a file called so counts as a photo, and is looked into when it is opened."""
RAW = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef",
    ".nrw", ".orf", ".pef", ".raf", ".rw2", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
"""Endings of camera raw files. Many are TIFF files, of which Pillow would read a thumbnail."""

HEAD = 64
"""Bytes that are looked at."""

_NO_PHOTOS = {"BUFR", "EPS", "FPX", "GRIB", "HDF5", "IPTC", "MIC", "MPEG", "PALM", "PDF", "WMF"}
"""Formats that Pillow registers, but cannot read without another program, or that hold no photo."""
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_SAMPLES, _BITS = 277, 258
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_IMAGE_IN_LETTERS = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"Pf", b"PF", b"/* XPM", b"#define")


@dataclass(frozen=True)
class Kind:
    """What is no readable photo.

    Attributes:
        plural: for a count, e.g. ``videos``.
        one: for a single file, e.g. ``a video``.
        way_out: what the user can do.
        photo: whether it may well be a photo that the user misses.
    """

    plural: str
    one: str
    way_out: str = "replace it or leave it out"
    photo: bool = False


HIDDEN = Kind("hidden files", "a hidden file")
OUTSIDE = Kind("links to files outside of the data's folder", "a link to a file outside of the data's folder",
               "copy it there or allow it with --data.outside allow", True)  # fmt: skip
DEAD_LINK = Kind("links to nowhere", "a link to a file that does not exist", "mend the link or leave it out", True)
EMPTY = Kind("empty files", "an empty file (0 bytes)", "copy it again or leave it out", True)
HEIC = Kind(
    "HEIC photos (pip install pillow-heif, or convert them to JPEG)",
    "a HEIC photo, which needs a plugin of Pillow",
    "pip install pillow-heif, or convert it to JPEG",
    True,
)
AVIF = Kind("AVIF photos (this Pillow reads none: update it)", "an AVIF photo, which this Pillow does not read",
            "update Pillow, or convert it to JPEG", True)  # fmt: skip
CAMERA_RAW = Kind(
    "camera raw files (convert them to JPEG or TIFF)", "a camera raw file", "convert it to JPEG or TIFF", True
)
VIDEO = Kind("videos", "a video", "extract frames from it")
DOCUMENT = Kind("documents", "a document (PDF or PostScript)", "export its pages as images")
ARCHIVE = Kind("archives", "an archive", "unpack it")
TEXT = Kind("text files", "a text file")
TIFF = Kind("TIFF files that Pillow cannot read", "a TIFF file that Pillow cannot read",
            "save it with 1, 3 or 4 bands of 8 or 16 bits, as Pillow reads it", True)  # fmt: skip
OTHER = Kind("other files", "no image that Pillow can read")


def kind_of(path: Path) -> Kind | None:
    """What a file is; ``None`` for a photo that Pillow can read, as far as its first bytes tell.

    Raises:
        OSError: the file cannot be opened.
    """
    if path.suffix.lower() in RAW:
        return CAMERA_RAW
    with path.open("rb") as file:
        head = file.read(HEAD)
        if not head:
            return EMPTY
        if not (_CONTROL.search(head) or head.startswith(_IMAGE_IN_LETTERS)):
            return named(head)  # letters alone
        with suppress(Exception):  # a damaged photo raises nearly anything; it is none that can be read
            if identify(file, path) is not None:
                return None
    return named(head)


def identify(file: IO[bytes], path: Path) -> ImageFile.ImageFile | None:
    """The image in an open file, its pixels not decoded; ``None`` if no format of this Pillow fits.

    As ``Image.open``, but formats without a signature are taken only by the file's ending, and the size of the image
    is for the caller to judge.
    """
    file.seek(0)
    head = file.read(16)
    if not head:
        return None
    tried: set[str] = set()
    for load in (Image.preinit, Image.init, _register_heif):
        load()
        for name in Image.ID:
            if name in tried or name in _NO_PHOTOS:
                continue
            with suppress(SyntaxError, IndexError, TypeError, struct.error):  # another format's file
                if _accepts(name, head, path):
                    file.seek(0)
                    factory: Any = Image.OPEN[name][0]
                    image: ImageFile.ImageFile = factory(file, os.fspath(path))
                    return image
        tried.update(Image.ID)
        if load is Image.init and not _is_heif(head):
            return None
    return None


def named_file(file: IO[bytes]) -> Kind:
    """What an open file that is no readable photo is; of a TIFF file also how many bands it has."""
    file.seek(0)
    kind = named(file.read(HEAD))
    if kind is TIFF:
        with suppress(Exception):  # damaged
            file.seek(0)
            header = file.read(8)
            tags = TiffImagePlugin.ImageFileDirectory_v2(header if header[2:3] != b"+" else header + file.read(8))
            file.seek(tags.next)
            tags.load(file)
            bands, bits = tags.get(_SAMPLES, 1), tags.get(_BITS, (1,))[0]
            return replace(kind, one=f"a TIFF file of {bands} band{'s' * (bands > 1)} of {bits} bits")
    return kind


def named(head: bytes) -> Kind:
    """What a file that is no readable photo is, by its first bytes."""
    if not head:
        return EMPTY
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return AVIF if brand in (b"avif", b"avis") else HEIC if brand in _HEIF_BRANDS else VIDEO
    if head[:4] in (b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3", b"OggS") or head[:3] == b"FLV":
        return VIDEO
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return VIDEO
    if head.startswith((b"%PDF", b"%!PS")):
        return DOCUMENT
    if head.startswith((b"PK\3\4", b"PK\5\6", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ")):
        return ARCHIVE
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return TIFF
    return OTHER if _CONTROL.search(head) else TEXT


def _accepts(name: str, head: bytes, path: Path) -> bool:
    """Whether a format takes a file that begins like this."""
    accept: Any = Image.OPEN[name][1]
    if accept is None:
        return Image.EXTENSION.get(path.suffix.lower()) == name
    answer = accept(head)
    return bool(answer) and not isinstance(answer, str)  # a string says what Pillow lacks


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _register_heif() -> None:
    """Teach Pillow HEIC, if the package that can is installed."""
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()
