"""Images with the masks found for them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.masks_of_images import with_mask_files


def images(root: Path, orientation: int) -> TaggedImages:
    exif = Image.Exif()
    exif[274] = orientation
    for name in ("ant", "bee"):
        Image.new("RGB", (4, 3)).save(root / f"{name}.jpg", exif=exif)
    samples = tuple(Sample(name, root / f"{name}.jpg", (0,)) for name in ("ant", "bee"))
    return TaggedImages("photos", ("x",), samples, "labels.csv")


@pytest.mark.parametrize(("orientation", "warned"), [(1, False), (2, True), (3, True), (6, False)])
def test_a_photo_that_exif_turns_unseen_is_warned_of(tmp_path, orientation, warned):
    Image.fromarray(np.eye(3, 4, dtype=np.uint8)).save(tmp_path / "mask.png")
    data = with_mask_files(images(tmp_path, orientation), {"bee": tmp_path / "mask.png"}, DataConfig(), tmp_path)
    assert [sample.mask is not None for sample in data.samples] == [False, True]
    assert [(note.examples, note.warning) for note in data.notes] == ([(("bee.jpg",), True)] if warned else [])


def test_the_setting_trusts_indices(tmp_path):
    picture = Image.fromarray(np.eye(3, 4, dtype=np.uint8))
    picture.putpalette([9, 9, 9, 0, 0, 0])  # black at index 1
    picture.save(tmp_path / "mask.png")
    data = with_mask_files(images(tmp_path, 1), {"ant": tmp_path / "mask.png"}, DataConfig(colours="ids"), tmp_path)
    mask = data.samples[0].mask
    assert mask is not None
    assert mask().tolist() == np.eye(3, 4, dtype=int).tolist()
