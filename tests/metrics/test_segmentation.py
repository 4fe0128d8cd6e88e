import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.errors import TagsegError
from tagseg.metrics.segmentation import SegmentationScore
from tagseg.metrics.tags import tag_f1

GOLDEN = Path(os.environ.get("TAGSEG_GOLDEN", Path(__file__).parents[3] / "shared" / "golden"))


def scored(classes, prediction, truth):
    score = SegmentationScore(classes)
    score.update(prediction, truth)
    return score


def test_golden_values():
    path = GOLDEN / "schedule_metric.npz"
    if not path.is_file():
        pytest.skip(f"no golden values at {path}: set TAGSEG_GOLDEN")
    golden = np.load(path)
    score = SegmentationScore(len(golden["iou"]))
    for prediction, truth in zip(golden["pred"], golden["gt"], strict=True):
        score.update(prediction, truth)
    result = score.compute()
    np.testing.assert_allclose(result.iou, golden["iou"], rtol=1e-9)
    assert result.mean_iou == pytest.approx(float(golden["miou"]), rel=1e-9)
    assert result.pixel_accuracy == pytest.approx(float(golden["pacc"]), rel=1e-9)


def test_absent_classes_stay_out_of_the_mean():
    truth = np.array([[0, 0, 1, 255]], np.uint8)
    prediction = np.array([[0, 2, 1, 3]], np.uint8)
    result = scored(4, prediction, truth).compute()
    assert result.iou[:3] == (0.5, 1.0, 0.0)
    assert np.isnan(result.iou[3]), "neither there nor predicted on a counted pixel"
    assert result.mean_iou == 0.75
    assert result.truth_pixels == (2, 1, 0, 0)
    assert result.predicted_pixels == (1, 1, 1, 0)


def test_nothing_counted_is_not_a_number():
    ignored = np.full((2, 2), 255, np.uint8)
    result = scored(3, np.zeros((2, 2), np.uint8), ignored).compute()
    assert np.isnan(result.mean_iou)
    assert np.isnan(result.pixel_accuracy)


maps = st.integers(0, 2**32 - 1).map(
    lambda seed: (
        np.random.default_rng(seed).integers(0, 5, (6, 7), np.uint8),
        np.random.default_rng(seed + 1).choice(np.array([0, 1, 2, 4, 255], np.uint8), (6, 7)),
    )
)


@given(maps)
@settings(max_examples=30)
def test_bytes_are_counted_as_other_numbers_are(pair):
    prediction, truth = pair
    expected = scored(5, prediction.astype(np.int64), truth.astype(np.int64))
    assert torch.equal(scored(5, prediction, truth).matrix, expected.matrix)


@settings(max_examples=40, deadline=None)
@given(maps)
def test_agrees_with_counting_sets_of_pixels(pair):
    prediction, truth = pair
    result = scored(5, prediction, truth).compute()
    counted = truth != 255
    for label in range(5):
        a, b = (prediction == label) & counted, (truth == label) & counted
        if (a | b).any():
            assert result.iou[label] == pytest.approx((a & b).sum() / (a | b).sum())
    assert result.pixel_accuracy == pytest.approx((prediction == truth)[counted].mean())


@settings(max_examples=20, deadline=None)
@given(maps, maps)
def test_merging_matrices_equals_one_score(first, second):
    whole = SegmentationScore(5)
    whole.update(*first)
    whole.update(*second)
    parts = scored(5, *first)
    parts.matrix += scored(5, *second).matrix
    assert torch.equal(whole.matrix, parts.matrix)
    batch = scored(5, np.stack([first[0], second[0]]), torch.from_numpy(np.stack([first[1], second[1]])))
    assert torch.equal(whole.matrix, batch.matrix)


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (np.array([[3]], np.uint8), np.array([[0]], np.uint8), "prediction has label 3, expected 0 to 2"),
        (np.array([[255]], np.uint8), np.array([[0]], np.uint8), "prediction has label 255"),
        (np.array([[0]], np.uint8), np.array([[20]], np.uint8), "truth has label 20, expected 0 to 2"),
        (np.array([[-1]], np.int64), np.array([[0]], np.int64), "prediction has label -1"),
    ],
)
def test_labels_beyond_the_classes_are_errors(prediction, truth, message):
    with pytest.raises(TagsegError, match=message):
        scored(3, prediction, truth)


@pytest.mark.parametrize("classes", [0, 1, 256])
def test_impossible_class_counts(classes):
    with pytest.raises(TagsegError, match=f"cannot score {classes} classes"):
        SegmentationScore(classes)


def test_tag_f1_is_per_image():
    logits = torch.tensor([[2.0, 2.0, -2.0], [-1.0, -1.0, -1.0], [-1.0, -1.0, -1.0], [3.0, -3.0, -3.0]])
    tags = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(tag_f1(logits, tags), torch.tensor([2 / 3, 1.0, 0.0, 1.0]))
