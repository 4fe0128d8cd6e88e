"""Masks as PNG in memory."""

import numpy as np

from tagseg.serving.mask_png import as_png, from_png


def test_exact_and_small():
    mask = np.zeros((300, 500), np.uint8)
    mask[50:200, 100:400], mask[7, 9], mask[:5] = 3, 254, 255
    assert np.array_equal(from_png(as_png(mask)), mask)
    assert len(as_png(mask)) < 2_000
    noise = np.random.default_rng(0).integers(0, 256, (40, 30), np.uint8)
    assert np.array_equal(from_png(as_png(noise)), noise)
