"""Run lengths against an encoder written from the format's description, polygons against the definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tagseg.data.outlines import RunLengths, decode_counts, fill_polygon, read_outline

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40))


def encode(mask: np.ndarray) -> list[int]:
    """Lengths of runs down the columns, background first."""
    counts, current = [0], False
    for value in mask.T.ravel().tolist():
        if value != current:
            counts.append(0)
            current = value
        counts[-1] += 1
    return counts


def as_text(counts: list[int]) -> str:
    """COCO's text: differences to the one two before from the fourth on, in 5-bit groups, lowest first."""
    text = ""
    for index, count in enumerate(counts):
        rest = count - counts[index - 2] if index > 2 else count
        while True:
            group, rest = rest & 31, rest >> 5
            done = rest == (-1 if group & 16 else 0)
            text += chr(48 + group + (0 if done else 32))
            if done:
                break
    return text


@given(MASKS)
def test_run_lengths_round_trip(mask):
    counts = encode(mask)
    assert (RunLengths(mask.shape, np.array(counts)).decode() == mask).all()
    assert (RunLengths(mask.shape, as_text(counts)).decode() == mask).all()


@given(st.lists(st.integers(0, 10**7)))
def test_text_round_trip(counts):
    assert decode_counts(as_text(counts)).tolist() == counts


def test_text_as_pycocotools_writes_it():
    """Golden: the text that ``encode`` of pycocotools 2.0 gives these masks; it has differences below zero."""
    mask = np.zeros((60, 6), bool)
    mask[2:57, 1] = mask[20:24, 2:4] = mask[59, 5] = True
    assert RunLengths((60, 6), "n1g1g0]NQ10S3M").decode().tolist() == mask.tolist()
    assert RunLengths((5, 4), "63204").decode().sum() == 6


@pytest.mark.parametrize("counts", [np.array([3, 3]), np.array([-1, 5]), "3", "P", "é", "5 "])
def test_damaged_run_lengths_are_refused(counts):
    with pytest.raises(ValueError, match="run lengths"):
        RunLengths((2, 2), counts).decode()


def inside(x: float, y: float, corners: np.ndarray) -> bool:
    """Even-odd rule by its definition: cuts of the ray to the right."""
    odd = False
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if (ay <= y) != (by <= y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            odd = not odd
    return odd


@given(
    arrays(np.float32, st.tuples(st.integers(1, 8), st.just(2)), elements=st.floats(-4, 14, width=16)),
    st.tuples(st.integers(1, 10), st.integers(1, 10)),
)
def test_a_pixel_belongs_to_a_polygon_if_its_centre_is_inside(corners, shape):
    canvas = np.zeros(shape, bool)
    fill_polygon(canvas, corners.ravel())
    for row, column in np.ndindex(shape):
        x, y = column + 0.5, row + 0.5
        # on an edge, to rounding, either answer is right
        if inside(x - 1e-6, y, corners.astype(float)) == inside(x + 1e-6, y, corners.astype(float)):
            assert canvas[row, column] == inside(x, y, corners.astype(float))


def test_polygons_add_up():
    canvas = np.zeros((4, 4), bool)
    fill_polygon(canvas, np.array([0, 0, 2, 0, 2, 2, 0, 2], np.float32))
    fill_polygon(canvas, np.array([1, 1, 3, 1, 3, 3, 1, 3], np.float32))
    assert canvas.astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("counts", [[2**62, 2**62, 2**62, 2**62, 16], [17, -1], [0, 20, 0]])
def test_counts_whose_sum_wraps_or_that_exceed_the_mask_are_refused(counts):
    with pytest.raises(ValueError, match="run lengths that add up to"):
        RunLengths((4, 4), np.array(counts, np.int64)).decode()


def test_numbers_that_are_no_mask_are_refused():
    with pytest.raises(ValueError, match="no mask's"):
        decode_counts("o" * 16 + "0")
    for size, counts in (([4, float("inf")], [16]), ([4, 4], [2**70])):
        with pytest.raises(ValueError, match="no mask's"):
            read_outline({"size": size, "counts": counts})
