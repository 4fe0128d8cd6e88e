"""Photos of all formats, masks as ids, palettes and colours, proposals as pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy import ndarray
from PIL import Image

from tagseg.data.images import image_size, read_picture
from tagseg.data.mask_coding import Coding
from tagseg.data.mask_pixels import packed, read_pixels
from tagseg.data.proposal_pictures import Picture, recognise

from ..inside import in_png
from ..mutate import mutated
from ..parser import UNKNOWN, Case, Parser

CLASSES = 5
COLOURS = ((0, 0, 0), (200, 10, 10), (10, 200, 10), (10, 10, 200), (90, 90, 10), (250, 250, 250))
_CODING = Coding(tuple((packed(*colour), label) for label, colour in enumerate(COLOURS)), "labelmap.txt")
_TAGS = (
    b"IHDR",
    b"PLTE",
    b"tRNS",
    b"IDAT",
    b"IEND",
    b"acTL",
    b"eXIf",
    b"RIFF",
    b"VP8 ",
    b"II*\0",
    b"MM\0*",
    b"GIF89a",
    b"\xff\xd8",
    b"\xff\xc0",
    b"\xff\xda",
    b"\xff\xe1\x00\x10Exif\0\0",
    b"BM",
    b"P6\n4 4\n255\n",
    b"P5\n9999999 9999999\n255\n",
    b"\xff\xff\xff\x7f",
    b"8BPS",
    b"\0\0\0\x0cjP  ",
    b"%!PS",
    b"\x7fELF",
)

Read = tuple[tuple[int, ...], bytes]


def _of(array: ndarray) -> Read:
    return array.shape, array.tobytes()


def _saved(picture: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def _array(rng: Random, *channels: int) -> ndarray:
    height, width = rng.randint(1, 14), rng.randint(1, 14)
    return np.random.default_rng(rng.randrange(1 << 30)).integers(0, 256, (height, width, *channels), np.uint8)


def _photo(rng: Random) -> Case:
    grey = rng.random() < 0.3
    array = _array(rng) if grey else _array(rng, 3)
    picture = Image.fromarray(array)
    rgb = np.repeat(array[..., None], 3, 2) if grey else array
    form = rng.choice(("PNG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "TGA", "GIF", "JPEG", "JPEG", "ICO", "SGI", "PCX"))
    ending = {"TIFF": ".tif", "JPEG": ".jpg"}.get(form, f".{form.lower()}")
    if form == "JPEG":
        exif = Image.Exif()
        exif[274] = rng.randint(1, 8)
        return Case(f"photo{ending}", _saved(picture, form, exif=exif, progressive=rng.random() < 0.3))
    if form in ("ICO", "GIF"):
        return Case(f"photo{ending}", _saved(picture, form))
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    if form == "TIFF":
        options["compression"] = rng.choice(("raw", "tiff_lzw", "tiff_deflate", "packbits"))
    return Case(f"photo{ending}", _saved(picture, form, **options), _of(rgb))


def _read_photo(path: Path) -> Read:
    picture = read_picture(path)
    size = image_size(path)
    assert picture.pixels.shape[:2] == size, f"{picture.pixels.shape} of an image of {size}"
    read_picture(path, 2)
    return _of(picture.pixels)


def _is_rgb(value: Read, case: Case) -> str:
    return "" if len(value[0]) == 3 and value[0][2] == 3 and len(value[1]) == np.prod(value[0]) else f"read {value[0]}"


def _mask(rng: Random) -> Case:
    labels = _array(rng) % (CLASSES + 1)
    if rng.random() < 0.3:
        labels[0, 0] = 255
    form = rng.randrange(5)
    if form == 0:
        content = _saved(Image.fromarray(labels), "PNG", optimize=rng.random() < 0.5)
    elif form == 1:
        picture = Image.fromarray(labels)
        picture.putpalette([value for colour in COLOURS for value in colour] + [0] * 3 * 250)
        labels[labels == 255] = 1
        picture = Image.fromarray(labels)
        picture.putpalette([value for colour in COLOURS for value in colour])
        content = _saved(picture, "PNG", bits=rng.choice((4, 8)))
    elif form == 2:
        content = _saved(Image.fromarray(labels.astype(np.uint16)), "PNG")
    elif form == 3:
        content = _saved(Image.fromarray(labels), rng.choice(("TIFF", "BMP")))
    else:
        content = _saved(Image.fromarray(np.repeat(labels[..., None], 3, 2)), "PNG")
    return Case("mask.png", content, _of(labels))


def _read_mask(path: Path) -> Read:
    return _of(Coding().labels(read_pixels(path), CLASSES, path))


def _flipped(rng: Random) -> Case:
    """A mask with some bits flipped, as a bad disk leaves it: it is refused or read as it was."""
    labels = _array(rng) % (CLASSES + 1)
    content = bytearray(_saved(Image.fromarray(labels), "PNG"))
    for _ in range(rng.choice((1, 1, 2, 9))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return Case("mask.png", bytes(content), _of(labels), refusable=True)


def _coloured(rng: Random) -> Case:
    labels = _array(rng) % (CLASSES + 1)
    colours = np.array(COLOURS, np.uint8)
    if rng.random() < 0.5:
        content = _saved(Image.fromarray(colours[labels]), "PNG")
    else:
        order = list(range(len(COLOURS)))
        rng.shuffle(order)
        picture = Image.fromarray(np.argsort(order).astype(np.uint8)[labels])
        picture.putpalette(colours[order].tobytes())
        content = _saved(picture, "PNG")
    return Case("mask.png", content, _of(labels))


def _read_coloured(path: Path) -> Read:
    return _of(_CODING.labels(read_pixels(path), CLASSES, path))


def _within(value: Read, case: Case) -> str:
    odd = set(value[1]) - {*range(CLASSES + 1), 255}
    return f"read the labels {odd}" if odd else ""


def _proposal(rng: Random) -> Case:
    inside = _array(rng) % 2
    inside[:] = 0
    height, width = inside.shape
    inside[: rng.randint(1, height), : rng.randint(1, width)] = 1
    scale = rng.choice((1, 255))
    if rng.random() < 0.3:
        return Case("p.png", _saved(Image.fromarray(inside.astype(bool)), "PNG"), _of(inside.astype(np.int32)))
    if rng.random() < 0.3:
        return Case("p.png", _saved(Image.fromarray(_array(rng, 3)), "PNG"), UNKNOWN)
    return Case("p.png", _saved(Image.fromarray(inside * np.uint8(scale)), "PNG"), _of(inside.astype(np.int32)))


def _read_proposal(path: Path) -> Read:
    return _of(Picture(path, recognise([path]))())


def in_png_only(content: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    """Chunks of a PNG file, bytes of any other."""
    return in_png(content, rng, words) if content.startswith(b"\x89PNG") else mutated(content, rng, words, [])


# Pillow's own warnings are not shown by the command line, and TIFF's C library writes to standard error by itself
PARSERS = (
    Parser("photo", _photo, _read_photo, _TAGS, _is_rgb, quiet=False, change=in_png_only),
    Parser("mask_ids", _mask, _read_mask, _TAGS, _within, quiet=False, change=in_png_only),
    Parser("mask_flipped", _flipped, _read_mask, quiet=False, changed=0.0),
    Parser("mask_colours", _coloured, _read_coloured, _TAGS, _within, quiet=False, change=in_png_only),
    Parser("proposals_png", _proposal, _read_proposal, _TAGS, quiet=False, change=in_png_only),
)
