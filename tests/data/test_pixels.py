"""What becomes of pictures that are not 8-bit colours, and what is said of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tagseg.data.images import read_image, read_picture
from tagseg.data.pixels import (
    FEWER_BITS,
    IN_MEMORY,
    MORE_BANDS,
    NO_TRANSPARENCY,
    SEVERAL,
    to_rgb,
)
from tagseg.errors import TagsegError

from .files_of_all_kinds import deep_png, tiff

RNG = np.random.default_rng(0)


def noise(most: int, bands: int = 3, side: int = 30, kind: type = np.uint16) -> np.ndarray:
    """Values 0 to ``most``, both of which occur."""
    values: np.ndarray = RNG.integers(0, most + 1, (side, side, bands)).astype(kind)
    values[0, 0], values[0, 1] = 0, most
    return values


def scaled(values: np.ndarray, bits: int) -> list[list[int]]:
    return np.round(values / (2**bits - 1) * 255).astype(int).tolist()


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_fewer_bits_in_a_16_bit_grey_file_are_scaled_by_what_they_hold(tmp_path, bits, ending):
    values = noise(2**bits - 1, bands=1)[..., 0]
    Image.fromarray(values).save(tmp_path / f"a.{ending}")
    picture = read_picture(tmp_path / f"a.{ending}")
    assert picture.remarks == (FEWER_BITS.format(bits),)
    assert picture.pixels[..., 0].tolist() == scaled(values, bits)


FORMS = {
    "png": lambda path, values: deep_png(path, values),
    "little.tif": lambda path, values: tiff(path, values),
    "big.tif": lambda path, values: tiff(path, values, order=">"),
    "deflate.tif": lambda path, values: tiff(path, values, deflate=True),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_fewer_bits_in_16_bit_colours_too(tmp_path, form, bits):
    """Pillow alone keeps the high bytes, which leaves a nearly black picture of few levels."""
    values = noise(2**bits - 1)
    picture = read_picture(FORMS[form](tmp_path / f"a.{form}", values))
    assert picture.remarks == (FEWER_BITS.format(bits),)
    assert picture.pixels.tolist() == scaled(values, bits)


@pytest.mark.parametrize("form", FORMS)
def test_colours_that_fill_16_bits_are_the_high_bytes(tmp_path, form):
    values = noise(65535)
    picture = read_picture(FORMS[form](tmp_path / f"a.{form}", values))
    assert picture.remarks == ()
    assert picture.pixels.tolist() == (values >> 8).tolist()


def test_a_black_picture_of_16_bits_is_black(tmp_path):
    Image.fromarray(np.zeros((3, 4), np.uint16)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").remarks == ()
    assert not read_image(tmp_path / "a.png").any()
    assert not read_image(deep_png(tmp_path / "b.png", np.zeros((3, 4, 3), np.uint16))).any()


def test_a_pgm_file_of_another_maximum_is_scaled_by_it(tmp_path):
    """Pillow does, so that dark values are no sign of fewer bits."""
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 4095\n" + np.array([100, 50], ">u2").tobytes())
    assert read_picture(tmp_path / "a.pgm").pixels[0, :, 0].tolist() == [6, 3]


def test_floats_beyond_0_to_1_are_refused_with_the_range(tmp_path):
    Image.fromarray(np.array([[0, 3.5]], np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(TagsegError, match=r"go from 0.0 to 3.5, and floats are scaled from 0 to 1"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_a_fourth_band_of_zeros_is_no_transparency(tmp_path, ending):
    values = noise(255, 4, kind=np.uint8)
    values[..., 3] = 0
    options: dict[str, Any] = {"lossless": True, "exact": True} if ending == "webp" else {}
    Image.fromarray(values).save(tmp_path / f"a.{ending}", **options)
    picture = read_picture(tmp_path / f"a.{ending}")
    assert picture.remarks == (NO_TRANSPARENCY,)
    assert picture.pixels.tolist() == values[..., :3].tolist()


@pytest.mark.parametrize("band", ["infrared", "labels"])
def test_a_fourth_band_of_measurements_or_labels_is_no_transparency(tmp_path, band):
    values = noise(255, 4, kind=np.uint8)
    values[..., 3] = RNG.integers(20, 240, (30, 30)) if band == "infrared" else RNG.integers(0, 2, (30, 30))
    Image.fromarray(values).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.remarks == (NO_TRANSPARENCY,)
    assert picture.pixels.tolist() == values[..., :3].tolist()


@pytest.mark.parametrize("alpha", ["cut out", "half", "soft edge"])
def test_a_transparency_is_one(tmp_path, alpha):
    values = noise(200, 4, kind=np.uint8)
    ramp = np.linspace(0, 255, 30).round().astype(np.uint8)
    values[..., 3] = {"cut out": np.where(ramp > 99, 255, 0), "half": 128, "soft edge": np.clip(ramp * 2.0, 0, 255)}[
        alpha
    ]
    Image.fromarray(values).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.remarks == ()
    share = values[..., 3:] / 255
    assert abs(picture.pixels - (values[..., :3] * share + 255 * (1 - share))).max() <= 1.5


def test_bands_beside_the_colours_are_left_out_and_said(tmp_path):
    values = noise(255, 5, kind=np.uint8)
    picture = read_picture(tiff(tmp_path / "a.tif", values, extra=(0, 0)))
    assert picture.remarks == (MORE_BANDS,)
    assert picture.pixels.tolist() == values[..., :3].tolist()


@pytest.mark.parametrize("bands", [5, 8])
def test_a_tiff_of_bands_that_pillow_does_not_know_is_one_line(tmp_path, bands):
    path = tiff(tmp_path / "a.tif", noise(999, bands), extra=(0,) * (bands - 1), photometric=1)
    with pytest.raises(
        TagsegError, match=rf"a\.tif.*a TIFF file of {bands} bands of 16 bits.*expected.*3 or 4"
    ) as error:
        read_image(path)
    assert "\n" not in str(error.value)


def test_of_several_pages_the_first_is_read_and_said(tmp_path):
    pages = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue")]
    for ending in ("tif", "gif", "webp"):
        path = tmp_path / f"a.{ending}"
        options: dict[str, Any] = {"lossless": True} if ending == "webp" else {}
        pages[0].save(path, save_all=True, append_images=pages[1:], **options)
        picture = read_picture(path)
        assert picture.remarks == (SEVERAL,)
        assert picture.pixels[0, 0].tolist() == [255, 0, 0]
        pages[0].save(path)
        assert read_picture(path).remarks == ()


@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    value=st.integers(0, 255),
)
def test_any_picture_in_memory_becomes_rgb_or_one_line(mode, size, value):
    # Pillow converts nothing to I;16, and before 11 nothing but RGB to LAB.
    image = Image.new(mode, size) if mode in ("I;16", "LAB") else Image.new("L", size, value).convert(mode)
    try:
        rgb, _ = to_rgb(image, IN_MEMORY)
    except ValueError:
        assert mode == "F"
        assert value > 1
        return
    assert (rgb.mode, rgb.size) == ("RGB", size)


def test_reading_says_the_same_from_any_path(tmp_path):
    """Wrong endings do not matter."""
    values = noise(4095, bands=1)[..., 0]
    for name in ("a.png", "a.jpg", "a.dat", "a"):
        Image.fromarray(values).save(tmp_path / name, format="PNG")
    pictures = [read_picture(Path(tmp_path / name)) for name in ("a.png", "a.jpg", "a.dat", "a")]
    assert {picture.remarks for picture in pictures} == {(FEWER_BITS.format(12),)}
    assert len({picture.pixels.tobytes() for picture in pictures}) == 1
