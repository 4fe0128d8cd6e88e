"""Masks from cached features: as ``tagseg label`` upsamples them, some rows at a time, of a photo's own labels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tagseg.inference.segment import label_map
from tagseg.serving import drawing
from tagseg.serving.drawing import Drawing, likeliest

from ..conftest import tiny_network
from ..frozen.conftest import GRID, cached, objects
from ..training.conftest import CONV

SIDES = st.integers(1, 60)


@given(st.integers(2, 4), st.integers(1, 9), st.integers(1, 9), SIDES, SIDES)
def test_it_upsamples_as_prediction_does(labels, h, w, height, width):
    scores = torch.randn(labels, h, w, generator=torch.Generator().manual_seed(h * 100 + width))
    found, expected = likeliest(scores, (height, width)), label_map([scores], (height, width))
    assert (found == expected).mean() > 0.995, "but for ties within rounding"


def test_memory_is_bounded_by_rows(monkeypatch):
    scores = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = likeliest(scores, (200, 100))
    monkeypatch.setattr(drawing, "VALUES_AT_ONCE", 3 * 100 * 7)
    assert np.array_equal(likeliest(scores, (200, 100)), whole)
    monkeypatch.setattr(drawing, "VALUES_AT_ONCE", 1)
    assert np.array_equal(likeliest(scores, (200, 100)), whole)


@pytest.fixture
def drawn(tmp_path):
    return Drawing(tiny_network(config=CONV), cached(tmp_path, *objects(width=48, classes=3)[:3]))


def test_a_mask_has_a_photos_own_labels_alone(drawn):
    for labels in ((0, 1), (0, 2), (0, 1, 3)):
        mask = drawn.mask(0, labels, (30, 50))
        assert mask.shape == (30, 50)
        assert set(np.unique(mask)) <= set(labels)
    assert not drawn.mask(0, (0,), (30, 50)).any()


def test_a_mirrored_photo_has_the_mirrored_scores(drawn, tmp_path):
    final, auxiliary, tags, _ = objects(width=48, classes=3)
    mirrored = Drawing(drawn.network, cached(tmp_path / "mirrored", final.flip(-1), auxiliary.flip(-1), tags))
    scores = drawn.scores(0, (0, 1, 2))
    assert scores.shape == (3, GRID, GRID)
    torch.testing.assert_close(mirrored.scores(0, (0, 1, 2)).flip(-1), scores, rtol=0, atol=1e-4)
