"""Each pixel is in one region, and masks have the ratio that was asked for, on any image."""

import math
from fractions import Fraction

import torch
from hypothesis import given
from hypothesis import strategies as st

from tagseg.fsr.config import MaskConfig, PartitionConfig
from tagseg.fsr.masking import block_mask, draw_mask
from tagseg.fsr.partition import CERTAIN_BACKGROUND, CERTAIN_FOREGROUND, UNCERTAIN, partition

from .examples import CLASSES, KINDS, PHOTOS, PRECISIONS, SEEDS, cams, examples, photos, random, sides, tags


@examples(15)
@given(
    st.integers(1, 3), CLASSES, st.tuples(sides(20), sides(20)), KINDS, PRECISIONS, PHOTOS,
    st.sampled_from(["cam", "edge"]), st.floats(0, 1), SEEDS,
)  # fmt: skip
def test_each_pixel_is_certain_background_uncertain_or_certain_foreground(
    count, classes, size, kind, dtype, photo, rule, share, seed
):
    cam, present = cams((count, classes, *size), kind, seed, dtype), tags(count, classes, seed)
    image = (photos(count, size, photo, seed).float() / 255).to(dtype)
    regions = partition(cam, present.to(dtype), image, PartitionConfig(rule=rule, edge_share=share))
    pixels = [(regions == region).flatten(1).sum(1) for region in (CERTAIN_BACKGROUND, UNCERTAIN, CERTAIN_FOREGROUND)]
    assert regions.shape == (count, *size)
    assert (sum(pixels) == math.prod(size)).all()
    if rule == "edge":
        assert (pixels[1] == round(share * math.prod(size))).all()
    untagged = present.sum(1) == 0
    assert not (regions[untagged] == CERTAIN_FOREGROUND).any()
    assert rule == "edge" or not (regions[untagged] == UNCERTAIN).any()


@examples(30)
@given(st.integers(1, 99), sides(24), sides(24))
def test_a_share_of_some_hundredths_masks_as_many_blocks_as_by_hand(hundredths, rows, columns):
    """0.07 of 100 blocks are 7, though 0.07 * 100 is 7.000000000000001."""
    masked = block_mask(torch.rand(1, rows, columns, generator=random(0)), None, hundredths / 100)
    assert masked.sum() == math.ceil(Fraction(hundredths, 100) * rows * columns)


def test_seven_hundredths_of_a_hundred_blocks_are_seven():
    assert block_mask(torch.rand(2, 10, 10), None, 0.07).flatten(1).sum(1).tolist() == [7, 7]


@examples(15)
@given(
    st.integers(1, 3), st.tuples(sides(6), sides(6)), st.sampled_from([8, 14, 16]), st.integers(1, 4),
    st.floats(0, 1), st.sampled_from(["none", "random", "everything", "nothing"]), SEEDS,
)  # fmt: skip
def test_patches_of_the_asked_number_of_whole_blocks_are_masked(count, blocks, patch, each, ratio, uncertain, seed):
    block = patch * each
    size = blocks[0] * block, blocks[1] * block
    given = {
        "none": None,
        "random": torch.rand(count, *size, generator=random(seed)) < 0.5,
        "everything": torch.ones(count, *size, dtype=torch.bool),
        "nothing": torch.zeros(count, *size, dtype=torch.bool),
    }[uncertain]
    seeds = torch.arange(count) + seed
    masked = draw_mask(seeds, given, size, patch, MaskConfig(block=block, ratio=ratio))
    wanted = math.ceil(Fraction(str(ratio)) * math.prod(blocks))
    assert (masked.flatten(1).sum(1) == wanted * each**2).all()
    whole = masked.unflatten(2, (blocks[1], each)).unflatten(1, (blocks[0], each))
    assert torch.equal(whole.all(4).all(2), whole.any(4).any(2)), "a block is masked as a whole"
