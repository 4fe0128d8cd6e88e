import math

import numpy as np
import pytest
import torch

from tagseg.reviewing.measure import NAMES, SIDE, measure, nearest
from tagseg.reviewing.views import Views


def views(*maps, size=(64, 96), likely=(0.9, 0.1)):
    """Certain logits of label maps on a patch grid: each scale has a photo and a mirror image."""
    grids = []
    for pair in maps:
        one_hot = torch.nn.functional.one_hot(torch.tensor(np.array(pair), dtype=torch.long), 3)
        grids.append(20.0 * one_hot.permute(0, 3, 1, 2).float())
    return Views(size, tuple(grids), torch.tensor(likely))


FOUND = np.zeros((4, 6), int)
FOUND[1:3, 2:4] = 1
OTHER = np.zeros((4, 6), int)
OTHER[1:3, 3:5] = 2


def test_views_that_agree_have_agreement_1():
    measured = measure(views((FOUND, FOUND), (FOUND, FOUND)))
    assert tuple(measured.signals) == NAMES
    assert measured.signals["mirror"] == 1
    assert measured.signals["scales"] == 1
    assert measured.signals["tag_prior"] == pytest.approx(0.9)
    assert measured.found.tolist() == [True, False]
    assert measured.labels.shape == (64, 96)


def test_mirror_and_scales_are_told_apart():
    mirror = measure(views((FOUND, OTHER), (FOUND, OTHER))).signals
    assert mirror["mirror"] < 0.7
    assert mirror["scales"] == 1
    scales = measure(views((FOUND, FOUND), (OTHER, OTHER))).signals
    assert scales["mirror"] == 1
    assert scales["scales"] < 0.7


def test_what_is_not_known_is_nan():
    (single,) = [measure(Views((64, 96), (views((FOUND, FOUND)).grids[0][:1],), torch.tensor([0.5, 0.5])))]
    unknown = {name for name, value in single.signals.items() if math.isnan(value)}
    assert unknown == {"mirror", "scales", "tags", "labels"}


def test_tags_and_labels_told_the_tags():
    measured = measure(views((FOUND, FOUND)), np.array([False, True]))
    assert measured.signals["tags"] == 0, "another class is tagged"
    same = measured.told(FOUND.repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8))
    assert same.signals["labels"] > 0.9
    assert measured.told(np.full((8, 12), 2, np.uint8)).signals["labels"] == 0
    assert math.isnan(measured.signals["labels"]), "the measured photo itself is as it was"


def test_label_maps_are_small():
    assert measure(views((FOUND, FOUND), size=(2000, 3000))).labels.shape == (85, SIDE)


def test_nearest_keeps_labels():
    label = np.array([[0, 255], [3, 1]], np.uint8)
    np.testing.assert_array_equal(nearest(label, (4, 4)), label.repeat(2, axis=0).repeat(2, axis=1))
    np.testing.assert_array_equal(nearest(label.repeat(3, axis=0).repeat(3, axis=1), (2, 2)), label)
