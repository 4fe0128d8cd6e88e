import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.fsr.masking import block_mask, block_noise, to_patches


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1000), st.integers(1, 7), st.integers(1, 7), st.floats(0, 1), st.floats(0, 1))
def test_exactly_the_ratio_is_masked_and_uncertain_blocks_come_first(seed, rows, columns, ratio, share):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(3, rows, columns, generator=generator)
    blocks = torch.rand(3, rows, columns, generator=generator) < share
    pixels = blocks.repeat_interleave(4, 1).repeat_interleave(4, 2)
    count = math.ceil(Fraction(str(ratio)) * rows * columns)
    mask = block_mask(noise, pixels, ratio)
    assert mask.sum((1, 2)).tolist() == [count] * 3
    for masked, wanted in zip(mask, blocks, strict=True):
        assert (masked & wanted).sum() == min(count, int(wanted.sum()))
    assert block_mask(noise, None, ratio).sum((1, 2)).tolist() == [count] * 3


def test_the_published_ratio_masks_20_of_49_blocks():
    assert block_mask(block_noise([1, 2], (7, 7)), None, 0.4).sum((1, 2)).tolist() == [20, 20]


def test_at_random_the_highest_draws_are_masked():
    noise = torch.tensor([[[0.1, 0.9], [0.8, 0.3]]])
    assert block_mask(noise, None, 0.5).tolist() == [[[False, True], [True, False]]]


def test_the_order_of_uncertain_blocks_is_random():
    noise = torch.tensor([[[0.1, 0.9, 0.5, 0.99]]])
    uncertain = torch.tensor([[[True, True, True, False]]])
    assert block_mask(noise, uncertain, 0.5).tolist() == [[[False, True, True, False]]]


def test_patches_of_a_block_share_its_mask():
    mask = torch.rand(2, 7, 7) < 0.5
    expected = mask.repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert torch.equal(to_patches(mask, (28, 28)), expected)


def test_patches_of_a_size_that_does_not_divide_the_block():
    """56 pixels, 2 × 2 blocks of 28, patches of 14 or 8: 7 patches of 8 pixels lie unevenly in 2 blocks."""
    mask = torch.tensor([[[True, False], [False, True]]])
    patches = to_patches(mask, (7, 7))
    assert patches.shape == (1, 7, 7)
    corner = torch.arange(7) < 4  # a patch belongs to the block that its upper left corner lies in
    assert torch.equal(patches[0], corner[:, None] == corner[None, :])


def test_larger_patches_than_blocks():
    assert to_patches(torch.ones(1, 8, 8, dtype=torch.bool), (4, 4)).all()


def test_noise_depends_on_the_images_own_seed_alone():
    together = block_noise([5, 6, 7], (3, 4))
    assert torch.equal(together[1:2], block_noise([6], (3, 4)))
    torch.manual_seed(99)
    assert torch.equal(together, block_noise([5, 6, 7], (3, 4)))
    assert not torch.equal(together[0], together[1])
    assert together.min() >= 0
    assert together.max() < 1


def test_drawing_noise_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    block_noise([1], (2, 2))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("ratio", "masked"), [(0.0, 0), (1.0, 4)])
def test_nothing_or_everything_can_be_masked(ratio, masked):
    assert block_mask(torch.rand(1, 2, 2), None, ratio).sum() == masked
