"""Inputs of several sizes through the encoder together: what each gives alone."""

import pytest
import torch

from tagseg.fast.onednn import pack_weights
from tagseg.fast.packed_tokens import encode_packed, run_block
from tagseg.fast.threads import Cores

from .conftest import KINDS, network_of

SIZES = [(32, 32), (16, 48), (8, 8), (40, 24)]
NETWORKS = KINDS | {
    "normalised before the blocks": {"pre_norm": True},
    "another kind of block": {"block_fn": "ResPostBlock"},
}


def inputs_of(counts=(2, 1, 3, 2)):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(count, 3, *size, generator=generator) for count, size in zip(counts, SIZES, strict=True)]


def assert_same(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("onednn", [True, False])
@torch.no_grad()
def test_packed_inputs_give_what_they_give_alone(options, onednn):
    encoder = network_of(**options).encoder
    with torch.backends.mkldnn.flags(enabled=onednn):
        groups = encode_packed(encoder, inputs_of(), pack_weights(encoder.blocks, Cores()))
    for group, images in zip(groups, inputs_of(), strict=True):
        features = encoder(images)
        assert group.grid == tuple(features.patches.shape[-2:])
        assert_same(group.tokens, features.tokens)
        assert_same(group.auxiliary, features.auxiliary.flatten(2).transpose(1, 2))


@torch.no_grad()
def test_without_the_final_map_no_block_behind_the_auxiliary_one_runs():
    encoder = network_of().encoder
    blocks = []

    def watched(block, *rest):
        blocks.append(block)
        return run_block(block, *rest)

    groups = encode_packed(encoder, inputs_of(), {}, watched, final=False)
    assert blocks == list(encoder.blocks)[: encoder.aux_index + 1]
    for group, images in zip(groups, inputs_of(), strict=True):
        assert_same(group.auxiliary, encoder(images).auxiliary.flatten(2).transpose(1, 2))
