import numpy as np
import pytest
import torch

from tagseg.metrics.trimap import DISTANCES, TrimapScore


def near_by_hand(truth, distance):
    """Pixels with another label at most ``distance`` rows and columns away."""
    height, width = truth.shape
    found = np.zeros(truth.shape, bool)
    for row in range(height):
        for column in range(width):
            window = truth[
                max(0, row - distance) : row + distance + 1, max(0, column - distance) : column + distance + 1
            ]
            found[row, column] = (window != truth[row, column]).any()
    return found


def test_each_distance_counts_the_pixels_that_are_as_near_to_a_true_outline():
    rng = np.random.default_rng(0)
    score = TrimapScore(3)
    expected = [np.zeros((3, 3), int) for _ in DISTANCES]
    for _ in range(2):
        truth = rng.choice(np.array([0, 1, 2, 255], np.uint8), (3, 4)).repeat(11, axis=0).repeat(9, axis=1)
        prediction = rng.integers(0, 3, truth.shape).astype(np.uint8)
        score.update(prediction, truth)
        for matrix, distance in zip(expected, DISTANCES, strict=True):
            counted = near_by_hand(truth, distance) & (truth != 255)
            np.add.at(matrix, (truth[counted], prediction[counted]), 1)
    results = score.compute()
    for result, matrix in zip(results, expected, strict=True):
        assert result.truth_pixels == tuple(matrix.sum(axis=1))
        hits = np.diag(matrix)
        ious = hits / (matrix.sum(axis=0) + matrix.sum(axis=1) - hits)
        assert result.mean_iou == pytest.approx(ious.mean())
    assert len({result.mean_iou for result in results}) > 1


def test_a_mask_that_is_one_pixel_off_is_wrong_only_near_the_outline():
    truth = np.zeros((40, 60), np.uint8)
    truth[:, 30:] = 1
    prediction = np.roll(truth, 1, axis=1)
    prediction[:, 0] = 0
    score = TrimapScore(2)
    score.update(prediction, truth)
    ious = [result.mean_iou for result in score.compute()]
    assert ious[0] == pytest.approx((0.5 + 0) / 2)  # of the two columns at the outline one is right
    assert ious == sorted(ious)
    assert ious[-1] == pytest.approx((16 / 17 + 15 / 16) / 2)


def test_without_an_outline_nothing_is_counted():
    score = TrimapScore(2)
    score.update(np.ones((8, 8), np.uint8), torch.zeros((8, 8), dtype=torch.uint8))
    assert all(sum(result.truth_pixels) == 0 and np.isnan(result.mean_iou) for result in score.compute())
