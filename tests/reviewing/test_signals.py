import numpy as np
import pytest
import torch

from tagseg.reviewing import signals

SURE, TIED = (1.0, 0.0, 0.0), (1 / 3, 1 / 3, 1 / 3)


def planes(*pixels):
    """Probabilities (C, 1, W) of a row of pixels."""
    return torch.tensor(pixels).T[:, None].contiguous()


def labels(*row):
    return np.array([row], np.uint8)


def test_entropy_is_0_where_sure_and_1_where_all_classes_tie():
    assert signals.mean_entropy(planes(SURE, SURE)) == 0
    assert signals.mean_entropy(planes(TIED)) == pytest.approx(1)
    assert signals.mean_entropy(planes(SURE, TIED)) == pytest.approx(0.5)


def test_expected_iou_of_a_case_by_hand():
    probabilities, found = planes((0.8, 0.2), (0.4, 0.6)), labels(0, 1)
    background, object_ = 0.8 / (1 + 1.2 - 0.8), 0.6 / (1 + 0.8 - 0.6)
    assert signals.expected_iou(probabilities, found) == pytest.approx((0.8 * background + 0.6 * object_) / 1.4)


def test_expected_iou_is_1_where_sure_and_lower_where_a_class_may_be_missed():
    sure = planes((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    assert signals.expected_iou(sure, labels(0, 1)) == pytest.approx(1)
    missed = planes((1.0, 0.0, 0.0), (0.0, 0.6, 0.4))
    assert signals.expected_iou(missed, labels(0, 1)) < 0.8


def test_the_margin_is_that_of_the_foreground():
    probabilities = planes((0.5, 0.5, 0.0), (0.1, 0.9, 0.0), (0.3, 0.7, 0.0))
    assert signals.foreground_margin(probabilities, labels(0, 1, 1)) == pytest.approx((0.8 + 0.4) / 2)


def test_where_nothing_is_found_the_margin_is_that_of_the_least_certain_pixels():
    nearly = [(0.9, 0.1, 0.0)] * 19 + [(0.51, 0.49, 0.0)]
    assert signals.foreground_margin(planes(*nearly), labels(*[0] * 20)) == pytest.approx((0.02 + 0.8) / 2)


def test_the_uncertain_share_is_of_what_may_be_foreground():
    probabilities = planes((0.9, 0.1), (0.5, 0.5), (0.1, 0.9), (0.05, 0.95))
    assert signals.uncertain_share(probabilities) == pytest.approx(1 / 3)
    assert signals.uncertain_share(planes((1.0, 0.0))) == 0


def test_a_speck_is_not_found():
    found = np.zeros((20, 50), np.uint8)
    found[0, :4], found[1, :5] = 1, 2
    assert signals.found_classes(found, 3).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("found", "tags", "share"),
    [((1, 0, 0), (1, 0, 0), 1), ((1, 1, 0), (1, 0, 1), 1 / 3), ((0, 0, 0), (0, 0, 0), 1), ((0, 0, 0), (0, 1, 0), 0)],
)
def test_agreement_with_tags(found, tags, share):
    assert signals.tag_agreement(np.array(found, bool), np.array(tags, bool)) == pytest.approx(share)


def test_agreement_with_the_tag_prior_is_weighted_by_what_was_found():
    likely = np.array([0.9, 0.1], np.float32)
    assert signals.tag_prior_agreement(labels(0, 1, 1, 2), likely) == pytest.approx((0.9 * 2 + 0.1) / 3)
    assert signals.tag_prior_agreement(labels(0, 0), likely) == pytest.approx(0.1), "the likeliest class is missing"


def test_thin_things_and_many_parts_touch_other_labels():
    block = np.zeros((12, 12), np.uint8)
    block[2:10, 2:10] = 1
    line = np.zeros((12, 12), np.uint8)
    line[5, :] = 1
    assert signals.thinness(block) == pytest.approx(28 / 64)
    assert signals.thinness(line) == 1
    assert signals.thinness(np.zeros((3, 3), np.uint8)) == 1, "nothing is found"


def test_the_share_of_the_foreground():
    assert signals.foreground_share(labels(0, 0, 1, 2)) == 0.5
