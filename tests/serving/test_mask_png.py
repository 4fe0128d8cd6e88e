"""Masks as PNG in memory."""

import io

import numpy as np
import pytest
from PIL import Image

from tagseg.serving.mask_png import as_png, from_png

from ..conftest import assert_refused

_FILE = io.BytesIO()
Image.new("RGB", (2, 2)).save(_FILE, "PNG")
COLOURS = _FILE.getvalue()


def test_exact_and_small():
    mask = np.zeros((300, 500), np.uint8)
    mask[50:200, 100:400], mask[7, 9], mask[:5] = 3, 254, 255
    assert np.array_equal(from_png(as_png(mask)), mask)
    assert len(as_png(mask)) < 2_000
    noise = np.random.default_rng(0).integers(0, 256, (40, 30), np.uint8)
    assert np.array_equal(from_png(as_png(noise)), noise)


@pytest.mark.parametrize(
    "damage", [lambda png: png[:40], lambda png: b"", lambda png: b"GIF89a" + png, lambda _: COLOURS]
)
def test_a_damaged_mask_is_one_line(damage):
    png = as_png(np.zeros((9, 9), np.uint8))
    assert_refused(lambda: from_png(damage(png)), "an accepted mask is damaged (", "reject it and accept a new one")
