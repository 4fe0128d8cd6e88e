"""Boundary IoU: values by hand, and the band pixel by pixel."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.metrics.boundary import BoundaryScore, band


def square(top, left, side, size=100):
    region = torch.zeros((size, size), dtype=torch.int64)
    region[top : top + side, left : left + side] = 1
    return region


def iou_of(prediction, truth, classes=2, **options):
    score = BoundaryScore(classes, **options)
    score.update(prediction, truth)
    return score


def test_the_truth_itself_has_1():
    assert iou_of(square(20, 30, 40), square(20, 30, 40)).compute() == 1


def test_a_square_one_pixel_aside_by_hand():
    """Bands of 3 pixels (0.02 of the diagonal) in squares of side 40."""
    score = iou_of(square(20, 31, 40), square(20, 30, 40))
    ring = {(y, x) for y in range(40) for x in range(40)} - {(y, x) for y in range(3, 37) for x in range(3, 37)}
    moved = {(y, x + 1) for y, x in ring}
    assert score.shared[1] == len(ring & moved)
    assert score.covered[1] == len(ring | moved)


def test_a_solid_region_far_from_its_outline_does_not_count():
    """A hole in the middle changes the region's IoU by a fifth and adds a band of its own."""
    truth, holed = square(10, 10, 80), square(10, 10, 80) - square(40, 40, 20)
    assert iou_of(truth, truth).true[1] == 80**2 - 74**2
    assert iou_of(holed, truth).covered[1] > iou_of(truth, truth).covered[1]


def test_ignored_pixels_are_not_counted():
    truth = square(20, 30, 40)
    truth[20:25, 30:70] = 255
    score = iou_of(square(20, 30, 40), truth)
    assert score.true[1] == 40 * 35 - 34 * 29, "what is ignored is outside"
    assert score.covered.sum() <= (truth != 255).sum()
    assert math.isnan(iou_of(torch.ones_like(truth), torch.full_like(truth, 255)).compute())


def test_a_class_that_is_only_predicted_is_left_out_of_the_mean():
    prediction = square(20, 30, 40)
    prediction[60:70, :20] = 2
    assert iou_of(prediction, square(20, 30, 40), 3).true[2] == 0
    assert not math.isnan(iou_of(prediction, square(20, 30, 40), 3).compute())


@pytest.mark.parametrize("share", [0.01, 0.02, 0.1])
def test_the_band_is_as_wide_as_the_share_of_the_diagonal(share):
    reach = max(1, round(share * math.hypot(100, 100)))
    expected = 60**2 - max(0, 60 - 2 * reach) ** 2
    assert iou_of(square(20, 20, 60), square(20, 20, 60), share=share).true[1] == expected


@settings(deadline=None, max_examples=30, derandomize=True)
@given(seed=st.integers(0, 1000), reach=st.integers(1, 4), height=st.integers(1, 9), width=st.integers(1, 9))
def test_the_band_pixel_by_pixel(seed, reach, height, width):
    region = torch.rand((height, width), generator=torch.Generator().manual_seed(seed)) < 0.7
    in_band = band(region, reach)
    for y in range(height):
        for x in range(width):
            around = [
                0 <= v < height and 0 <= u < width and bool(region[v, u])
                for v in range(y - reach, y + reach + 1)
                for u in range(x - reach, x + reach + 1)
            ]
            assert in_band[y, x] == (bool(region[y, x]) and not all(around))
