"""Outlines held against the sizes of their images; what nothing is counted of is tested in test_coco.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagseg.data.coco_checks import Scored, check_places
from tagseg.data.coco_file import CocoAnnotation, CocoImage
from tagseg.data.coco_values import read_box
from tagseg.data.outlines import RunLengths
from tagseg.errors import TagsegError


def scored(*extents: tuple[float, ...], outline: Any = (), size: tuple[int, int] = (48, 64)) -> Scored:
    boxes = [read_box((left, top, right - left, bottom - top)) for left, top, right, bottom in extents]
    objects = tuple(CocoAnnotation(1, False, outline, extent, n) for n, extent in enumerate(boxes))
    return Scored(Path("a.json"), [CocoImage("a.jpg", size, objects)], ("cat",), {1: 1}, False)


def test_outlines_within_their_image_are_no_matter():
    assert check_places(scored((0, 0, 64, 48), (-1, -1, 65, 49), (3, 3, 4, 4))) == ()


def test_an_outline_outside_its_image_is_named():
    for extent in ((70, 0, 80, 9), (-9, 0, -1, 9), (0, 64, 9, 70)):
        with pytest.raises(TagsegError, match=r"annotation 1 of a\.jpg lies outside its image \(x .* 64×48"):
            check_places(scored((0, 0, 9, 9), extent))


def test_outlines_that_reach_beyond_are_warned_of():
    (note,) = check_places(scored((0, 0, 9, 9), (20, 20, 128, 30), (-40, 0, 10, 9)))
    assert (note.count, note.warning, note.examples) == (2, True, ("1 of a.jpg", "2 of a.jpg"))


def test_shares_of_the_sides_are_no_pixels():
    with pytest.raises(TagsegError, match=r"no coordinate .* is over 1, .*shares of the image's sides"):
        check_places(scored((0.1, 0.2, 0.5, 1.0), (0.3, 0.2, 0.4, 0.9)))


def test_run_lengths_of_another_size():
    runs = RunLengths((10, 10), np.array([100]))
    with pytest.raises(TagsegError, match=r"annotation 0 of a\.jpg has run lengths of 10×10, expected .* 64×48"):
        check_places(scored((0, 0, 10, 10), outline=runs))
    assert check_places(scored((0, 0, 48, 64), outline=RunLengths((64, 48), np.array([0])))) == ()  # the stored frame
