import math

import numpy as np
import pytest

from tagseg.reporting.certainty import HIGH, LOW, RegionScore, regions_of


def test_thresholds_belong_to_the_certain_regions():
    background = np.array([[1.0, 1 - LOW, 0.5, 1 - HIGH, 0.0]], np.float16)
    probs = np.stack([background, 1 - background])
    assert regions_of(probs).tolist() == [[0, 0, 1, 2, 2]]


def test_a_region_is_right_where_the_truth_is_what_it_is_called():
    regions = np.array([[0, 0, 0, 1, 2, 2, 2, 2, 2]], np.uint8)
    truth = np.array([[0, 0, 1, 1, 1, 2, 0, 1, 255]], np.uint8)
    labels = np.array([[0, 0, 0, 0, 1, 1, 1, 1, 1]], np.uint8)
    score = RegionScore()
    score.update(regions, labels, truth)
    background, uncertain, foreground = score.compute()
    assert [one.share for one in (background, uncertain, foreground)] == [3 / 8, 1 / 8, 4 / 8]
    assert background.right == pytest.approx(2 / 3)
    assert (foreground.right, foreground.labelled_right) == (3 / 4, 2 / 4)
    assert math.isnan(uncertain.right)
    assert uncertain.labelled_right == 0


def test_an_empty_region_has_no_share_that_is_right():
    score = RegionScore()
    score.update(*(np.zeros((2, 2), np.uint8) for _ in range(3)))
    assert score.compute()[0].right == 1
    assert math.isnan(score.compute()[2].right)
