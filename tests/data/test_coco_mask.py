"""Masks drawn from objects with and without outline; overlaps and whole files are tested in test_coco.py."""

import numpy as np
import pytest
from PIL import Image

from tagseg.data.coco_mask import CocoMask, CocoObject
from tagseg.data.outlines import RunLengths
from tagseg.errors import TagsegError


def test_boxes_and_outlines_that_enclose_no_pixel_are_ignored(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (6, 4)).save(path)
    sliver = np.array([4.1, 1.1, 4.2, 1.1, 4.2, 1.2], np.float32)  # around no pixel's centre
    objects = (
        CocoObject(1, None, (0.5, 0.5, 1.5, 2.0)),
        CocoObject(2, (sliver,), (4.1, 1.1, 4.2, 1.2)),
        CocoObject(2, (np.array([1, 0, 3, 0, 3, 1, 1, 1], np.float32),), (1, 0, 3, 1)),
        CocoObject(1, None, (-5.0, 3.0, 0.5, 99.0)),
        CocoObject(1, None, None),
    )
    assert CocoMask(path, (4, 6), objects)().tolist() == [
        [255, 2, 2, 0, 0, 0],
        [255, 255, 0, 0, 255, 0],
        [0, 0, 0, 0, 0, 0],
        [255, 0, 0, 0, 0, 0],
    ]


def test_run_lengths_of_another_size_name_the_annotation(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (6, 4)).save(path)
    with pytest.raises(TagsegError, match=r"annotation 12 of a\.png has run lengths of the size \(6, 4\)"):
        CocoMask(path, (4, 6), (CocoObject(1, RunLengths((6, 4), np.array([0, 24])), None, 12),))()
