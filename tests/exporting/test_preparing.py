import numpy as np
import pytest
import torch

from tagseg.exporting.preparing import prepared, resized
from tagseg.inference.segment import resize


@pytest.mark.parametrize("size", [(40, 48), (16, 24), (64, 56), (40, 24)])
def test_a_photo_is_resized_as_predict_does(size):
    photo = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    ours = resize(torch.from_numpy(photo).permute(2, 0, 1)[None].float(), size)
    theirs = prepared(photo, size)
    assert theirs.dtype == np.float32
    assert theirs.shape == (1, *size, 3)
    np.testing.assert_allclose(theirs, ours.permute(0, 2, 3, 1).numpy(), atol=1e-3)


def test_nothing_is_rounded():
    plane = np.array([[0, 1]], np.float32)
    assert resized(plane, (1, 4)).tolist() == [[0, 0.25, 0.75, 1]]
