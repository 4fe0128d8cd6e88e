import math

import numpy as np
import pytest

from tagseg.reporting.object_size import SizeScore


def test_each_class_of_each_photo_counts_in_the_bin_of_its_share():
    truth = np.zeros((10, 10), np.uint8)
    truth[:2, :5] = 1  # 10 % of the photo, the upper edge of its bin
    truth[5:, :] = 2  # 50 %
    prediction = truth.copy()
    prediction[0, :5] = 0  # half of class 1 is missed
    score = SizeScore()
    score.update(prediction, truth)
    small = np.zeros((10, 10), np.uint8)
    small[0, 0] = 1  # 1 %, altogether missed
    score.update(np.zeros_like(small), small)
    bins = {(size.low, size.high): size for size in score.compute()}
    assert [size.count for size in score.compute()] == [1, 0, 1, 0, 1]
    assert bins[0.03, 0.1].mean_iou == pytest.approx(0.5)
    assert bins[0.3, 1.0].mean_iou == 1
    assert (bins[0.0, 0.01].mean_iou, bins[0.0, 0.01].missed) == (0, 1)
    assert math.isnan(bins[0.1, 0.3].mean_iou)


def test_ignored_pixels_are_no_part_of_the_photo():
    truth = np.full((10, 10), 255, np.uint8)
    truth[0] = (1,) * 5 + (0,) * 5
    score = SizeScore()
    score.update(np.ones_like(truth), truth)
    (size,) = [one for one in score.compute() if one.count]
    assert (size.low, size.mean_iou) == (0.3, 0.5)
