"""Pixels of mask files as they are stored, of every format and depth that keeps ids; others are refused."""

import struct
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tagseg.data.mask_coding import Coding
from tagseg.data.mask_pixels import read_pixels
from tagseg.data.masks import save_mask
from tagseg.errors import TagsegError

CLASSES = 20


def png(path: Path, samples: np.ndarray, bits: int, kind: int, *chunks: bytes) -> None:
    """A PNG of (H, W) or (H, W, channels) samples of that depth, written without Pillow, which knows not all depths."""
    height, width = samples.shape[:2]
    flat = samples.reshape(height, -1)
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in flat]
    else:
        bit_rows = ((flat[..., None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(height, -1).astype(np.uint8)
        rows = [np.packbits(row).tobytes() for row in bit_rows]
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *((chunk[:4], chunk[4:]) for chunk in chunks), (b"IDAT", content), (b"IEND", b"")]
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, data in parts:
            file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))


def ids_below(most: int) -> st.SearchStrategy[np.ndarray]:
    shapes = st.tuples(st.integers(1, 7), st.integers(1, 19))
    return shapes.flatmap(lambda shape: arrays(np.uint16, shape, elements=st.integers(0, most - 1)))


@settings(max_examples=40)
@given(st.sampled_from([1, 2, 4, 8, 16]).flatmap(lambda bits: st.tuples(st.just(bits), ids_below(min(2**bits, 255)))))
def test_grey_of_every_depth_holds_its_samples(case):
    bits, ids = case
    with TemporaryDirectory() as folder:
        path = Path(folder, "m.png")
        png(path, ids, bits, 0)
        pixels = read_pixels(path)
    assert pixels.kind == ("bilevel" if bits == 1 else "grey")
    assert pixels.values.tolist() == ids.tolist()


@settings(max_examples=40)
@given(st.sampled_from([1, 2, 4, 8]).flatmap(lambda bits: st.tuples(st.just(bits), ids_below(2**bits))))
def test_palettes_of_every_depth_hold_their_indices(case):
    bits, ids = case
    colours = np.random.default_rng(bits).permutation(256 * 3).astype(np.uint8)[: 3 * 2**bits]
    with TemporaryDirectory() as folder:
        path = Path(folder, "m.png")
        png(path, ids, bits, 3, b"PLTE" + colours.tobytes())
        pixels = read_pixels(path)
    assert pixels.values.tolist() == ids.tolist()
    for index, colour in zip(pixels.used(), pixels.colours(), strict=True):
        red, green, blue = (int(value) for value in colours[3 * index : 3 * index + 3])
        assert colour == red << 16 | green << 8 | blue


@settings(max_examples=40)
@given(ids_below(CLASSES + 1), st.sampled_from(["png", "tif", "bmp", "gif", "webp", "pgm", "tga"]), st.booleans())
def test_labels_come_back_from_every_format(ids, form, ignored):
    labels = ids.astype(np.uint8)
    if ignored:
        labels[0, 0] = 255
    with TemporaryDirectory() as folder:
        path = Path(folder, f"m.{form}")
        options: dict[str, Any] = {"lossless": True} if form == "webp" else {}
        Image.fromarray(labels).save(path, **options)
        read = Coding().labels(read_pixels(path), CLASSES, path)
    assert read.tolist() == labels.tolist()


@settings(max_examples=40)
@given(ids_below(CLASSES + 1), st.sampled_from(["RGB", "LA", "RGBA", "I;16", "I", "F", "own"]))
def test_labels_come_back_from_every_mode(ids, mode):
    labels = ids.astype(np.uint8)
    grey = Image.fromarray(labels)
    with TemporaryDirectory() as folder:
        path = Path(folder, "m.tif" if mode in ("I", "F") else "m.png")
        if mode == "own":
            save_mask(path, labels)
        elif mode == "I;16":
            Image.fromarray(ids).save(path)
        else:
            grey.convert(mode).save(path)
        pixels = read_pixels(path)
        assert Coding().labels(pixels, CLASSES, path).tolist() == labels.tolist()
    assert pixels.dropped_alpha == (mode in ("LA", "RGBA"))


def save(path: Path, picture: Image.Image, **options: Any) -> Path:
    picture.save(path, **options)
    return path


GREY = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("m.jpg", {}, "is a JPEG file, whose pixels are not exact"),
        ("m.png", {"format": "JPEG"}, "is a JPEG file, whose pixels are not exact"),
        ("m.webp", {"lossless": False}, "is a WEBP file, whose pixels are not exact"),
        ("m.tif", {"compression": "jpeg"}, "is compressed by jpeg"),
        ("m.gif", {"save_all": True, "append_images": [GREY.rotate(90)]}, "holds 2 pictures"),
        ("m.tif", {"save_all": True, "append_images": [GREY.rotate(90)]}, "holds 2 pictures"),
    ],
)
def test_formats_that_do_not_keep_ids_are_refused(tmp_path, name, options, message):
    with pytest.raises(TagsegError, match=message) as error:
        read_pixels(save(tmp_path / name, GREY, **options))
    assert "\n" not in str(error.value)


def test_other_pictures_are_refused(tmp_path):
    half = Image.merge("LA", [GREY, GREY])
    with pytest.raises(TagsegError, match="partly transparent, expected opaque pixels"):
        read_pixels(save(tmp_path / "a.png", half))
    with pytest.raises(TagsegError, match="is CMYK, expected grey, palette or RGB"):
        read_pixels(save(tmp_path / "c.tif", GREY.convert("CMYK")))
    with pytest.raises(TagsegError, match="holds fractions"):
        read_pixels(save(tmp_path / "f.tif", Image.fromarray(np.full((2, 2), 0.5, np.float32))))
    png(tmp_path / "deep.png", np.full((2, 2, 3), 2), 16, 2)  # Pillow would keep the upper byte, 0
    with pytest.raises(TagsegError, match="16-bit channels"):
        read_pixels(tmp_path / "deep.png")


def test_a_palette_with_a_transparent_background_holds_its_indices(tmp_path):
    ids = np.array([[0, 1], [2, 0]])
    png(tmp_path / "m.png", ids, 8, 3, b"PLTE" + bytes(range(9)), b"tRNS" + bytes([0, 255, 255]))
    assert read_pixels(tmp_path / "m.png").values.tolist() == ids.tolist()
