import math
from pathlib import Path

import numpy as np
import pytest

from tagseg.data.dataset import Sample
from tagseg.reviewing.estimate import Fitted
from tagseg.reviewing.measure import Measured
from tagseg.reviewing.queue import queue_of

CLASSES = ("cat", "dog")


@pytest.fixture(scope="module")
def fit():
    iou = np.linspace(0.2, 1.0, 101)
    return Fitted.of(("expected_iou",), ("expected_iou",), iou[:, None], iou, shift=0.03)


def queue(fit, *values):
    samples = {key: Sample(f"photo{key}", Path(f"photo{key}.jpg"), ()) for key in range(len(values) + 1)}
    measured = {
        key: Measured({"expected_iou": value}, np.zeros((4, 4), np.uint8), None, np.zeros(2, np.float32))
        for key, value in enumerate(values)
    }
    return queue_of(samples, measured, fit, CLASSES)


def test_the_least_estimated_iou_comes_first_and_equal_ones_in_order(fit):
    order, review = queue(fit, 0.8, 0.3, 0.5, 0.3)
    assert order == [1, 3, 2, 0]
    assert [photo.name for photo in review.photos] == ["photo1", "photo3", "photo2", "photo0"]
    assert [photo.iou for photo in review.photos] == sorted(photo.iou for photo in review.photos)
    assert len(review) == 4, "a photo that was not measured is not in it"


def test_photos_beyond_the_limits_are_still_ranked(fit):
    _, review = queue(fit, -3.0, -5.0)
    assert [photo.iou for photo in review.photos] == [0, 0]
    assert review.photos[0].name == "photo1"
    assert review.photos[0].score > review.photos[1].score > 1


def test_the_mean_and_its_error(fit):
    _, review = queue(fit, 0.4, 0.8)
    assert review.mean_iou == pytest.approx(0.6, abs=0.02)
    scatter = fit.scatter(("expected_iou",))
    assert review.error == pytest.approx(math.hypot(0.03, scatter / math.sqrt(2)))
    _, unknown = queue(fit, math.nan)
    assert unknown.error == pytest.approx(math.hypot(0.03, fit.scatter(())))
    assert unknown.mean_iou == pytest.approx(0.6, abs=0.01), "nothing is known: the mean of the photos fitted to"


def test_the_summary_is_one_line(fit):
    assert queue(fit, 0.6)[1].summary() == (
        "estimated mean IoU of 1 photo: 60 % ± 3 (standard error; nothing was scored)"
    )
