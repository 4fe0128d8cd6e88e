"""PNG masks: ids are read whatever the colours, and checked against the image and the class count."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagseg.data.mask_coding import check_ids
from tagseg.data.masks import MaskFile
from tagseg.errors import TagsegError

IDS = np.array([[0, 1, 2], [2, 255, 0]], np.uint8)


def make(tmp_path: Path, mask: Image.Image, size: tuple[int, int] = (3, 2), **options: Any) -> MaskFile:
    Image.new("RGB", size).save(tmp_path / "a.jpg", **options)
    mask.save(tmp_path / "a.png")
    return MaskFile(tmp_path / "a.png", tmp_path / "a.jpg", 2)


def as_palette(ids: np.ndarray) -> Image.Image:
    image = Image.fromarray(ids).convert("L")
    image.putpalette(np.random.default_rng(0).integers(0, 255, 768).tolist())
    assert image.mode == "P"
    return image


@pytest.mark.parametrize("kind", ["grey", "palette", "16 bit"])
def test_ids_are_read(tmp_path, kind):
    image = (
        as_palette(IDS) if kind == "palette" else Image.fromarray(IDS.astype(np.uint16 if kind == "16 bit" else "u1"))
    )
    mask = make(tmp_path, image)
    read = pickle.loads(pickle.dumps(mask))()
    assert read.dtype == np.uint8
    assert read.tolist() == IDS.tolist()


def test_bilevel_mask_is_background_and_class_1(tmp_path):
    assert make(tmp_path, Image.fromarray(IDS > 0))().tolist() == [[0, 1, 1], [1, 1, 0]]


def test_colours_are_refused(tmp_path):
    picture = Image.new("RGB", (3, 2), (48, 112, 32))
    with pytest.raises(
        TagsegError, match=r"a\.png holds the colours 48,112,32, expected class ids, or a list"
    ) as error:
        make(tmp_path, picture)()
    assert "--data.colours FILE" in str(error.value)


def test_ids_out_of_range_are_named(tmp_path):
    with pytest.raises(TagsegError, match=r"a\.png holds the ids 3, 254, expected 0 \(background\) to 2"):
        make(tmp_path, Image.fromarray(np.array([[0, 3, 254], [255, 1, 2]], np.uint8)))()


def test_another_size_than_the_image_is_refused(tmp_path):
    with pytest.raises(TagsegError, match=r"a\.png is 3×2, expected its image's 4×4"):
        make(tmp_path, Image.fromarray(IDS), size=(4, 4))()


def test_a_mask_is_at_the_size_as_displayed(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    assert make(tmp_path, Image.fromarray(IDS), size=(2, 3), exif=exif)().shape == (2, 3)
    with pytest.raises(TagsegError, match=r"EXIF rotation \(orientation 6\), turn the mask too"):
        make(tmp_path, Image.fromarray(IDS), size=(3, 2), exif=exif)()


def test_exif_is_not_blamed_where_there_is_none(tmp_path):
    with pytest.raises(TagsegError, match="height and width are swapped") as error:
        make(tmp_path, Image.fromarray(IDS), size=(2, 3))()
    assert "EXIF" not in str(error.value)


@pytest.mark.parametrize(
    ("ids", "classes", "hint"),
    [
        ([0, 127, 255], 2, "spread over 0 to 255"),
        ([0, 128, 255], 2, "spread over 0 to 255"),
        ([0, 85, 170], 3, "spread over 0 to 255"),
        ([0, 50, 100], 2, "times 50: divide them by 50"),
        ([1, 2, 3], 2, "begin with 1 for the background: subtract 1"),
        ([0, 1, 3], 2, "check the class list$"),
        ([0, 17, 101, 203, 255], 1, "soft edges"),
    ],
)
def test_what_ids_out_of_range_may_be_is_said(ids, classes, hint):
    with pytest.raises(TagsegError, match=hint):
        check_ids(np.array([ids]), classes, Path("m.png"))


def test_a_damaged_mask_is_named(tmp_path):
    mask = make(tmp_path, Image.fromarray(IDS))
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    with pytest.raises(TagsegError, match=r"a\.png"):
        mask()
