"""Masks for which nothing is counted: those of the plain form, and the same places."""

import pytest
import torch

from tagseg.fast.masking import draw_mask, masked_each, masked_places
from tagseg.fsr import masking as plain
from tagseg.fsr.config import MaskConfig

SIZES = [((64, 64), 8, 16), ((48, 80), 8, 16), ((32, 32), 16, 32), ((96, 32), 8, 8), ((40, 40), 8, 16)]
"""Size, patch, block; in the last, blocks have different numbers of patches."""


@pytest.mark.parametrize(("size", "patch", "block"), SIZES)
@pytest.mark.parametrize("ratio", [0.0, 0.07, 0.4, 1.0])
@pytest.mark.parametrize("random", [True, False])
def test_masks_and_places_equal_those_of_the_plain_form(size, patch, block, ratio, random):
    config, seeds = MaskConfig(block=block, ratio=ratio), torch.tensor([3, 1, 4])
    uncertain = None if random else torch.rand(3, *size, generator=torch.Generator().manual_seed(0)) < 0.5
    ours, theirs = (form(seeds, uncertain, size, patch, config) for form in (draw_mask, plain.draw_mask))
    assert torch.equal(ours, theirs)
    places = masked_places(ours, size, patch, config)
    assert torch.equal(places, plain.masked_places(ours, size, patch, config))
    assert torch.equal(torch.zeros(ours.numel()).bool().index_fill(0, places, True).view_as(ours), ours)


def test_where_blocks_differ_the_places_are_counted():
    assert masked_each((40, 40), 8, MaskConfig(block=16)) is None
    assert masked_each((64, 64), 8, MaskConfig(block=16, ratio=0.4)) == 7 * 4
