"""Images of every mode and orientation that people have, and the errors of files that are none."""

import sys
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from tagseg.data.images import MAX_PIXELS, image_size, max_pixels, opened, read_image
from tagseg.errors import TagsegError

from .files_of_all_kinds import HEIC, VIDEO


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options: Any) -> Path:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[274] = orientation
    return data


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, orientation, extension):
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:8, :8] = 255  # a white corner, top left as stored
    path = tmp_path / f"a.{extension}"
    options: dict[str, Any] = {"lossless": True} if extension == "webp" else {}
    Image.fromarray(stored).save(path, exif=exif(orientation), **options)
    shown = read_image(path)
    # where EXIF says that the stored first row and first column are shown
    corner = {1: "tl", 2: "tr", 3: "br", 4: "bl", 5: "tl", 6: "tr", 7: "br", 8: "bl"}[orientation]
    expected = (16, 32) if orientation < 5 else (32, 16)
    assert shown.shape == (*expected, 3)
    assert image_size(path) == expected
    y, x = (0 if corner[0] == "t" else -1), (0 if corner[1] == "l" else -1)
    assert (shown[y, x] > 200).all()
    assert (shown > 128).all(-1).sum() == 64


def test_damaged_exif_leaves_the_image_as_stored(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (4, 2)).save(path, exif=b"Exif\x00\x00rubbish")
    assert read_image(path).shape == (2, 4, 3)
    assert image_size(path) == (2, 4)


def test_grey_palette_bilevel_and_one_pixel(tmp_path):
    grey = np.array([[0, 100, 255]], np.uint8)
    assert read_image(save(tmp_path / "grey.png", grey)).tolist() == [[[v] * 3 for v in (0, 100, 255)]]
    palette = Image.new("P", (1, 1), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png").tolist() == [[[10, 20, 30]]]
    assert read_image(save(tmp_path / "bilevel.png", grey, "1"))[0, 2].tolist() == [255, 255, 255]
    assert image_size(tmp_path / "palette.png") == (1, 1)


def test_transparency_is_laid_on_white(tmp_path):
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128]]], np.uint8)
    read = read_image(save(tmp_path / "a.png", rgba))[0].astype(int)
    assert read[:2].tolist() == [[255, 0, 0], [255, 255, 255]]
    assert abs(read[2] - 127).max() <= 1
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([9, 9, 9])
    palette.save(tmp_path / "p.png", transparency=0)
    assert read_image(tmp_path / "p.png").tolist() == [[[255] * 3]]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, name):
    path = save(tmp_path / name, np.array([[0, 257 * 100, 65535]], np.uint16))
    assert read_image(path)[0, :, 0].tolist() == [0, 100, 255]


def test_float_grey_is_scaled_from_0_to_1_and_refused_beyond(tmp_path):
    assert read_image(save(tmp_path / "a.tif", np.array([[0, 0.2, 1]], np.float32)))[0, :, 1].tolist() == [0, 51, 255]
    with pytest.raises(TagsegError, match=r"b\.tif.*grey values go from"):
        read_image(save(tmp_path / "b.tif", np.array([[0, 300]], np.float32)))


def test_cmyk(tmp_path):
    path = save(tmp_path / "a.jpg", np.full((8, 8, 3), (200, 30, 30), np.uint8), "CMYK", quality=95)
    assert abs(read_image(path).astype(int) - (200, 30, 30)).max() < 8


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_a_jpeg_is_read_at_a_reduced_size(tmp_path, reduction, orientation):
    """On a ramp, each pixel of the reduced image is the mean of its square of the whole one."""
    ramp = np.add.outer(np.arange(67), np.arange(85)).astype(np.uint8)
    path = tmp_path / "a.jpg"
    Image.fromarray(ramp).save(path, quality=98, exif=exif(orientation))
    small, whole = read_image(path, reduction), read_image(path)
    assert small.shape[:2] == tuple(-(-side // reduction) for side in whole.shape[:2])
    if orientation == 1:
        height, width = (side // reduction for side in whole.shape[:2])
        squares = whole[: height * reduction, : width * reduction, 0].reshape(height, reduction, width, reduction)
        assert abs(squares.mean((1, 3)) - small[:height, :width, 0]).max() < 3


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 4, 8]))
@settings(deadline=None, max_examples=40)
def test_a_reduction_divides_by_exactly_that_or_not_at_all(height, width, reduction):
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / "a.jpg", np.zeros((height, width, 3), np.uint8))
        by = reduction if min(height, width) >= reduction else 1
        assert read_image(path, reduction).shape == (-(-height // by), -(-width // by), 3)


def test_only_a_jpeg_is_reduced(tmp_path):
    path = save(tmp_path / "a.png", np.zeros((16, 24, 3), np.uint8))
    assert read_image(path, 8).shape == (16, 24, 3)


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (2, 2), c) for c in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


def test_read_image_is_writable_and_contiguous(tmp_path):
    read = read_image(save(tmp_path / "a.png", np.zeros((2, 3, 3), np.uint8)))
    assert read.flags.writeable
    assert read.flags.c_contiguous


@pytest.mark.parametrize("kind", ["truncated", "text", "empty", "absent", "folder"])
def test_what_is_no_image_is_named_in_one_line(tmp_path, kind):
    path = tmp_path / "photo.jpg"
    if kind == "truncated":
        noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
        save(path, noise)
        path.write_bytes(path.read_bytes()[:1500])
    elif kind == "folder":
        path.mkdir()
    elif kind != "absent":
        path.write_text("no image" if kind == "text" else "")
    with pytest.raises(TagsegError, match=r"photo\.jpg.*expected") as error:
        read_image(path)
    assert "\n" not in str(error.value)


def test_wrong_endings_and_none_are_no_matter(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (9, 8, 3), np.uint8)
    for name in ("a.jpg", "b.txt", "c", "d.heic"):
        Image.fromarray(pixels).save(tmp_path / name, format="PNG")
        assert read_image(tmp_path / name).tolist() == pixels.tolist()
        assert image_size(tmp_path / name) == (9, 8)


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.ppm", "a.pgm", "a.tga", "a.qoi", "a.jp2", "a.avif", "a.dib"])
def test_other_formats_of_pillow(tmp_path, name):
    try:
        Image.new("L" if name == "a.pgm" else "RGB", (16, 12), 77).save(tmp_path / name)
    except (OSError, ValueError, KeyError) as error:
        pytest.skip(f"this Pillow does not write {name}: {error}")
    assert read_image(tmp_path / name).shape == (12, 16, 3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jpg", HEIC, "a HEIC photo.*pip install pillow-heif"),
        ("a.jpg", VIDEO, "a video.*extract frames"),
        ("a.png", b"name,label\n", "a text file"),
        ("a.png", b"", "an empty file"),
        ("a.png", b"PK\3\4" + bytes(60), "an archive"),
        ("a.jpg", b"%PDF-1.7 \0", "a document"),
        ("a.nef", b"II*\0" + bytes(60), "a camera raw file.*convert it to JPEG"),
        ("a.jpg", bytes(range(200)), "no image that Pillow can read"),
    ],
)
def test_what_is_no_photo_is_called_what_it_is(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TagsegError, match=message) as error:
        read_image(tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_plugin_that_reads_heic_is_used_where_it_is_installed(tmp_path, monkeypatch):
    """The package that HEIC needs is stood in for by one that reads every such file as a red square."""

    class Heic(ImageFile.ImageFile):
        format = "HEIC"

        def _open(self):
            self._mode, self._size = "RGB", (3, 3)
            self.tile = []
            self.im = Image.new("RGB", (3, 3), "red").im

    def register() -> None:
        Image.register_open("HEIC", Heic, lambda head: head[4:12] == b"ftypheic")

    monkeypatch.setattr(Image, "ID", list(Image.ID))
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))
    (tmp_path / "a.HEIC").write_bytes(HEIC)
    assert read_image(tmp_path / "a.HEIC")[0, 0].tolist() == [255, 0, 0]


class TestLimit:
    def test_a_larger_image_is_refused_with_its_size_and_the_way_to_allow_it(self, tmp_path, monkeypatch):
        path = save(tmp_path / "a.png", np.zeros((30, 40), np.uint8))
        monkeypatch.setenv(MAX_PIXELS, "1_199")
        for read in (read_image, image_size):
            with pytest.raises(TagsegError, match=r"1,200 pixels \(40 x 30\).*at most 1,199.*TAGSEG_MAX_PIXELS=1200"):
                read(path)
        monkeypatch.setenv(MAX_PIXELS, "1200")
        assert read_image(path).shape == (30, 40, 3)

    @pytest.mark.parametrize("ending", ["png", "tif", "webp", "jpg", "gif", "bmp"])
    def test_what_is_allowed_is_read_whatever_pillow_allows(self, tmp_path, monkeypatch, ending):
        path = save(tmp_path / f"a.{ending}", np.zeros((30, 40), np.uint8))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_image(path).shape == (30, 40, 3)
            assert image_size(path) == (30, 40)
        assert Image.MAX_IMAGE_PIXELS == 500, "as it was"

    def test_the_default_is_pillows(self, monkeypatch):
        monkeypatch.delenv(MAX_PIXELS, raising=False)
        assert max_pixels() == 178_956_970

    @pytest.mark.parametrize("value", ["many", "0", "-5", "1e9"])
    def test_no_number(self, tmp_path, monkeypatch, value):
        monkeypatch.setenv(MAX_PIXELS, value)
        with pytest.raises(TagsegError, match=f"TAGSEG_MAX_PIXELS is '{value}', expected a number of pixels"):
            read_image(save(tmp_path / "a.png", np.zeros((3, 4), np.uint8)))


def test_too_little_memory_is_not_taken_for_a_damaged_file(tmp_path):
    path = save(tmp_path / "a.png", np.zeros((3, 4), np.uint8))
    with pytest.raises(MemoryError), opened(path):
        raise MemoryError
