"""Parts, run lengths and polygons against a flood fill and against filling the polygons again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays

from tagseg.data.outlines import fill_polygon
from tagseg.formats.outlines import Part, parts_of

from .conftest import nasty

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9))


def flooded(mask: np.ndarray) -> list[np.ndarray]:
    """The 8-connected parts, in the order of their first pixel."""
    left, parts = mask.copy(), []
    while left.any():
        part = np.zeros_like(mask)
        front = [tuple(int(side) for side in np.argwhere(left)[0])]
        while front:
            row, column = front.pop()
            if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and left[row, column]:
                left[row, column], part[row, column] = False, True
                front += [(row + y, column + x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        parts.append(part)
    return parts


def from_runs(part: Part) -> np.ndarray:
    flat = np.zeros(part.size[0] * part.size[1], bool)
    for start, stop in zip(part.starts, part.stops, strict=True):
        assert not flat[start:stop].any()
        flat[start:stop] = True
    return flat.reshape(part.size, order="F")


def within_corners(part: Part) -> np.ndarray:
    canvas = np.zeros(part.size, bool)
    fill_polygon(canvas, part.corners.ravel().astype(np.float64))
    return canvas


def drawn_through_centres(part: Part) -> np.ndarray:
    """What OpenCV fills: the pixels on the polygon's lines and those that it encloses."""
    canvas = np.zeros(part.size, bool)
    # centres half a pixel further: no line passes a pixel's centre, so that the even-odd rule decides alone
    fill_polygon(canvas, (part.centres + 0.5 + 1e-6).ravel())
    for start, stop in zip(part.centres, np.roll(part.centres, -1, axis=0), strict=True):
        steps = int(abs(stop - start).max())
        move = (stop - start) // max(1, steps)
        assert (start + steps * move == stop).all(), "a line that is not straight or diagonal"
        for step in range(steps + 1):
            column, row = start + step * move
            canvas[row, column] = True
    return canvas


def check(mask: np.ndarray) -> None:
    parts, flood = parts_of(mask), flooded(mask)
    assert len(parts) == len(flood)
    for part, inside in zip(parts, flood, strict=True):
        np.testing.assert_array_equal(from_runs(part), inside)
        np.testing.assert_array_equal(within_corners(part), inside)
        np.testing.assert_array_equal(drawn_through_centres(part), inside)
        rows, columns = np.nonzero(inside)
        assert part.box == (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
        assert part.area == inside.sum()
        assert (part.starts[1:] > part.stops[:-1]).all(), "runs that touch"


@settings(max_examples=100)
@given(masks)
def test_every_part_of_any_mask_is_exact(mask):
    check(mask)


@pytest.mark.parametrize(("name", "label"), [(name, k) for name, mask in nasty().items() for k in np.unique(mask)])
def test_every_part_of_label_maps_that_are_hard_to_write(name, label):
    check(nasty()[name] == label)


def test_a_square_with_a_hole_by_hand():
    mask = np.ones((4, 4), bool)
    mask[1:3, 1:3] = False
    (part,) = parts_of(mask)
    assert part.corners.tolist() == [[0, 0], [4, 0], [4, 4], [0, 4], [0, 1], [1, 1], [1, 3], [3, 3], [3, 1], [0, 1]]
    assert part.starts.tolist() == [0, 7, 11]
    assert part.stops.tolist() == [5, 9, 16]


def test_no_part_in_an_empty_mask():
    assert parts_of(np.zeros((3, 4), bool)) == []
