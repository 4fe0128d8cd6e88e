"""Images of every mode and orientation that people have, and the errors of files that are none."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tagseg.data.images import find_images, image_size, read_image
from tagseg.errors import TagsegError


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


def test_find_images_is_recursive_sorted_and_knows_every_case(tmp_path):
    for name in ("b.JPG", "a/ö ß.png", "a/x.jpeg", "notes.txt", ".hidden.jpg", "Z.TIFF", ".cache/t.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [p.relative_to(tmp_path).as_posix() for p in find_images(tmp_path)]
    assert names == ["Z.TIFF", "a/x.jpeg", "a/ö ß.png", "b.JPG"]


def test_find_images_survives_a_link_to_its_own_folder(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(find_images(tmp_path)) == 1


def test_find_images_errors(tmp_path):
    with pytest.raises(TagsegError, match="nowhere does not exist"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(TagsegError, match="holds no image"):
        find_images(tmp_path)
