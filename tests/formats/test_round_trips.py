"""Each format read back by the tools it is for, pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest

from .conftest import CLASSES, Photo, expected, with_files, write
from .readers import READERS, Reader

EVERY = [(name, each) for name, some in READERS.items() for each in some]
EXACT = [(name, each) for name, each in EVERY if name != "voc-server" and each.least == 1]


def named(value: object) -> str:
    return value.package if isinstance(value, Reader) else str(value)


def equal_shares(
    name: str, reader: Reader, photos: dict[str, Photo], classes: tuple[str, ...], folder: Path
) -> dict[str, float]:
    """Write photos, read them back; the share of equal pixels of each."""
    pytest.importorskip(reader.package, reason=f"{reader.distribution} is not installed: make test-formats")
    some = next(iter(photos.values())).path
    assert some is not None
    root = next(folder for folder in some.parents if folder.name in ("photos", "JPEGImages", "val2017"))
    settings = {}
    if name == "voc-server":
        (folder / "split.txt").write_text("".join(f"{each}\n" for each in photos))
        settings = {"voc_split": str(folder / "split.txt")}
    maps = reader.read(write(name, photos, folder / "out", classes, **settings), root)
    shares = {}
    for each, photo in photos.items():
        labels = maps.pop(each, np.zeros_like(photo.mask))  # some readers leave out photos without a region
        assert labels.shape == photo.mask.shape
        shares[each] = float((labels == (photo.mask if name == "png" else expected(photo))).mean())
    assert not maps, "photos that were never written"
    return shares


@pytest.mark.parametrize(("name", "reader"), EXACT, ids=named)
def test_label_maps_that_are_hard_to_write(name, reader, photos, tmp_path):
    if reader.package == "ultralytics":  # it refuses photos of less than ten pixels
        masks = {
            each: np.pad(p.mask, [(0, max(0, 10 - side)) for side in p.mask.shape], "wrap")
            for each, p in photos.items()
        }
        photos = with_files(masks, tmp_path / "larger" / "photos")
    shares = equal_shares(name, reader, photos, CLASSES, tmp_path)
    assert {each: share for each, share in shares.items() if share < 1} == {}


@pytest.mark.parametrize(("name", "reader"), EVERY, ids=named)
def test_ground_truth_of_real_photos(name, reader, real_masks, tmp_path):
    some, classes = real_masks(12)
    if name == "voc-server":
        some = {each: Photo(expected(photo), photo.path) for each, photo in some.items()}
    shares = equal_shares(name, reader, some, classes, tmp_path)
    assert {each: share for each, share in shares.items() if share < reader.least} == {}
