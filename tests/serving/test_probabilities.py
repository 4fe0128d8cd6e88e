import numpy as np
import pytest
import torch

from tagseg.inference.segment import merge_scales
from tagseg.serving.probabilities import confidence, probabilities_at


@pytest.mark.parametrize("size", [(37, 53), (5, 120), (8, 8), (1, 1)])
def test_each_pixel_has_the_softmax_of_the_merged_logits(size):
    rng = np.random.default_rng(0)
    grids = [rng.normal(size=(4, *grid)).astype(np.float32) for grid in ((8, 9), (12, 14), (1, 1))]
    expected = merge_scales([torch.from_numpy(grid) for grid in grids], size).softmax(0).numpy()
    rows, columns = (axis.ravel() for axis in np.mgrid[: size[0], : size[1]])
    found = probabilities_at(grids, size, rows, columns).reshape(4, *size)
    assert np.allclose(found, expected, atol=1e-5)


def test_confidence_is_the_mean_over_the_pixels_of_a_class_or_over_a_fair_share_of_them():
    rng = np.random.default_rng(1)
    grids = [rng.normal(size=(3, 20, 20)).astype(np.float32)]
    merged = merge_scales([torch.from_numpy(grids[0])], (200, 200)).softmax(0).numpy()
    mask = merged.argmax(0).astype(np.uint8)
    for label in range(3):
        exact = float(merged[label][mask == label].mean())
        assert confidence(grids, mask, label) == pytest.approx(exact, abs=1e-5)
        assert confidence(grids, mask, label, most=1000) == pytest.approx(exact, abs=0.02)
