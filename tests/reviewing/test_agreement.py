import math

import numpy as np
import pytest

from tagseg.errors import TagsegError
from tagseg.reviewing.agreement import mean_agreement, photo_iou


def labels(*rows):
    return np.array(rows, np.uint8)


def test_it_is_the_mean_over_the_labels_of_either_map_with_background():
    truth, predicted = labels([0, 0, 1, 1]), labels([0, 1, 1, 2])
    assert photo_iou(predicted, truth) == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)
    assert photo_iou(truth, predicted) == photo_iou(predicted, truth)


def test_a_photo_of_background_alone():
    nothing = np.zeros((4, 5), np.uint8)
    assert photo_iou(nothing, nothing) == 1
    speck = nothing.copy()
    speck[0, 0] = 3
    assert photo_iou(speck, nothing) == pytest.approx((19 / 20 + 0) / 2)


def test_ignored_pixels_are_left_out_on_either_side():
    assert photo_iou(labels([0, 1, 2]), labels([0, 1, 255])) == 1
    assert photo_iou(labels([255, 1, 2]), labels([0, 1, 1])) == pytest.approx((1 / 2 + 0) / 2)
    assert math.isnan(photo_iou(labels([255]), labels([0])))


def test_maps_of_different_sizes_are_refused(unchecked):
    with pytest.raises(TagsegError, match=r"sizes \(2, 3\) and \(3, 2\), expected the same size"):
        photo_iou(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))


def test_the_mean_is_over_all_pairs():
    one, other = labels([0, 0]), labels([0, 1])
    assert mean_agreement([one, one, other]) == pytest.approx((1 + 2 * photo_iou(one, other)) / 3)
    assert math.isnan(mean_agreement([one])), "one map alone agrees with nothing"
