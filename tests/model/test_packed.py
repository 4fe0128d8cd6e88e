"""Inputs of several sizes through the encoder together: what each gives alone."""

import copy
import dataclasses
import io

import pytest
import torch

from tagseg.model import packed
from tagseg.model.packed import encode, encode_packed

from ..conftest import TINY, tiny_network

SIZES = [(32, 32), (16, 48), (8, 8), (40, 24)]
NETWORKS = {
    "plain": {},
    "registers": {"reg_tokens": 2},
    "layer scale": {"init_values": 0.5},
    "normalised queries": {"qk_norm": True},
    "no biases": {"qkv_bias": False},
    "normalised before the blocks": {"pre_norm": True},
    "another kind of block": {"block_fn": "ResPostBlock"},
}


def encoder_of(**options):
    if name := options.get("block_fn"):
        options["block_fn"] = getattr(__import__("timm.models.vision_transformer", fromlist=[name]), name)
    config = dataclasses.replace(TINY, encoder_options={**TINY.encoder_options, **options})
    network = tiny_network(config=config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network.encoder


def inputs_of(counts=(2, 1, 3, 2)):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(count, 3, *size, generator=generator) for count, size in zip(counts, SIZES, strict=True)]


def assert_same(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("onednn", [True, False])
@torch.no_grad()
def test_packed_inputs_give_what_they_give_alone(options, onednn):
    encoder = encoder_of(**options)
    with torch.backends.mkldnn.flags(enabled=onednn):
        groups = encode_packed(encoder, inputs_of())
    for group, images in zip(groups, inputs_of(), strict=True):
        features = encoder(images)
        assert group.grid == tuple(features.patches.shape[-2:])
        assert_same(group.tokens, features.tokens)
        assert_same(group.auxiliary, features.auxiliary.flatten(2).transpose(1, 2))


@torch.no_grad()
def test_without_the_final_map_no_block_behind_the_auxiliary_one_runs(monkeypatch):
    encoder = encoder_of()
    run, seen = packed.run_block, []
    monkeypatch.setattr(packed, "run_block", lambda block, *rest: seen.append(block) or run(block, *rest))
    groups = encode_packed(encoder, inputs_of(), final=False)
    assert seen == list(encoder.blocks)[: encoder.aux_index + 1]
    for group, images in zip(groups, inputs_of(), strict=True):
        assert_same(group.auxiliary, encoder(images).auxiliary.flatten(2).transpose(1, 2))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 5, 12])
@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_encoding_gives_the_encoders_tokens_in_order(monkeypatch, threads, count, at_once):
    encoder = encoder_of()
    images = torch.randn(count, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    monkeypatch.setitem(packed.IMAGES_AT_ONCE, "cpu", at_once)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ours = encode(encoder, images)
    finally:
        torch.set_num_threads(before)
    assert not ours.requires_grad
    with torch.no_grad():
        assert_same(ours, encoder(images).tokens)


@torch.no_grad()
def test_under_autocast_tokens_are_near_those_in_float32():
    encoder = encoder_of()
    images = inputs_of()[0]
    with torch.autocast("cpu", torch.bfloat16):
        half = encode(encoder, images).float()
    full = encode(encoder, images)
    assert (half - full).norm() < 0.05 * full.norm()
    assert not torch.equal(half, full), "it did compute in bfloat16"


def test_a_network_that_was_used_can_be_copied_and_pickled():
    encoder = encoder_of()
    expected = encode(encoder, inputs_of()[0])
    file = io.BytesIO()
    torch.save(encoder, file)
    file.seek(0)
    for other in (copy.deepcopy(encoder), torch.load(file, weights_only=False)):
        assert_same(encode(other, inputs_of()[0]), expected)
