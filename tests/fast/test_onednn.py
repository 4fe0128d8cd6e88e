"""Blocks in oneDNN's fused products: the same numbers, never those of old weights, nothing left behind."""

import copy
import gc
import io
import warnings
import weakref

import pytest
import torch
from timm.models.vision_transformer import Block, LayerScale
from torch import nn

from tagseg.fast.onednn import pack_weights
from tagseg.fast.packed_tokens import run_block
from tagseg.fast.threads import Cores

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch without oneDNN")
SHAPES = [(2, 5), (3, 4)]
CORES = Cores()


def block_of(seed=0, **options):
    torch.manual_seed(seed)
    block = Block(48, 3, **{"qkv_bias": True, **options}).eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return block


@pytest.fixture
def tokens():
    return torch.randn(22, 48, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def plain(block, tokens):
    parts = tokens.split([count * length for count, length in SHAPES])
    return torch.cat([block(p.unflatten(0, s)).flatten(0, 1) for p, s in zip(parts, SHAPES, strict=True)])


@torch.no_grad()
def fused(block, tokens):
    return run_block(block, tokens, SHAPES, pack_weights([block], CORES)[block])


def assert_same(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"qkv_bias": False}, {"proj_bias": False}, {"qk_norm": True}], ids=str)
def test_a_fused_block_gives_what_the_block_gives(tokens, options):
    block = block_of(**options)
    assert_same(fused(block, tokens), plain(block, tokens))


def test_several_cores_pack_the_same_without_a_word(tokens, threads):
    blocks = [block_of(seed) for seed in range(4)]
    threads(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = fused(blocks[0], tokens)
        weights = pack_weights(blocks, CORES)
        with torch.no_grad():
            every = [run_block(block, tokens, SHAPES, weights[block]) for block in blocks]
    assert_same(every[0], ours)
    for block, result in zip(blocks, every, strict=True):
        assert_same(result, plain(block, tokens))


def step(block, fused):
    optimiser = torch.optim.AdamW(block.parameters(), lr=0.1, fused=fused)
    for parameter in block.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()


CHANGES = {
    "optimiser": lambda block: step(block, False),
    "fused optimiser": lambda block: step(block, True),
    "loaded": lambda block: block.load_state_dict(block_of(1).state_dict()),
    "in place": lambda block: block.mlp.fc1.weight.data.add_(1),
    "replaced": lambda block: setattr(block.attn, "qkv", block_of(1).attn.qkv),
    "rounded": lambda block: block.bfloat16().float(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_weights_are_those_of_now(tokens, change):
    block = block_of()
    before = fused(block, tokens)
    change(block)
    after = fused(block, tokens)
    assert not torch.allclose(after, before, rtol=1e-4, atol=1e-5)
    assert_same(after, plain(block, tokens))


def modified(**parts):
    block = block_of()
    for name, part in parts.items():
        setattr(block.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], part)
    return block


class OtherBlock(Block):
    pass


OTHERS = {
    "layer scale": lambda: block_of(init_values=0.5),
    "another activation": lambda: block_of(act_layer=nn.ReLU),
    "an approximate GELU": lambda: modified(**{"mlp.act": nn.GELU(approximate="tanh")}),
    "a norm in the MLP": lambda: modified(**{"mlp.norm": nn.LayerNorm(192)}),
    "one layer scale": lambda: modified(ls2=LayerScale(48)),
    "bfloat16": lambda: block_of().bfloat16(),
    "float64": lambda: block_of().double(),
    "a block of another kind": lambda: OtherBlock(48, 3).eval(),
    "no block": lambda: nn.Sequential(nn.Linear(48, 48)),
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_blocks_that_do_not_fit_run_as_they_are(tokens, make):
    block = make()
    assert not pack_weights([block], CORES)
    x = tokens.to(next(block.parameters()).dtype)
    with torch.no_grad():
        ours, theirs = run_block(block, x, SHAPES), plain(block, x)
    torch.testing.assert_close(ours.float(), theirs.float(), rtol=0.02, atol=0.02)


def test_under_autocast_or_with_onednn_switched_off_it_runs_as_it_is():
    block = block_of()
    with torch.autocast("cpu", torch.bfloat16):
        assert not pack_weights([block], CORES)
    with torch.backends.mkldnn.flags(enabled=False):
        assert not pack_weights([block], CORES)
    assert block in pack_weights([block], CORES), "and fits otherwise"


def test_weights_made_in_inference_mode_can_be_used_outside_of_it(tokens):
    with torch.inference_mode():
        block = block_of()
    assert_same(fused(block, tokens), plain(block, tokens))


def test_only_blocks_that_fit_are_packed_and_each_by_itself(tokens):
    first, other, second = block_of(), OtherBlock(48, 3).eval(), block_of(1)
    weights = pack_weights([first, other, second], CORES)
    assert set(weights) == {first, second}
    with torch.no_grad():
        assert_same(run_block(second, tokens, SHAPES, weights[second]), plain(second, tokens))


def test_a_block_runs_as_it_is_after_its_weights_were_packed(tokens):
    """Nothing is left at the block: who has the packed weights passes them on, or not."""
    block = block_of()
    names = set(vars(block)), set(block.state_dict())
    weights = pack_weights([block], CORES)
    assert (set(vars(block)), set(block.state_dict())) == names
    before = fused(block, tokens)
    with torch.no_grad():
        block.mlp.fc1.weight.add_(1)
        packed, now = run_block(block, tokens, SHAPES, weights[block]), run_block(block, tokens, SHAPES)
    assert torch.equal(packed, before), "those of then"
    assert_same(now, plain(block, tokens))


def test_two_users_who_pack_at_the_same_time_do_not_disturb_each_other(tokens):
    block = block_of()
    one, two = pack_weights([block], CORES), pack_weights([block], CORES)
    assert one[block] is not two[block]
    del one
    with torch.no_grad():
        assert_same(run_block(block, tokens, SHAPES, two[block]), plain(block, tokens))


def test_a_packed_block_can_be_copied_and_saved(tokens):
    block = block_of()
    weights = pack_weights([block], CORES)
    other = copy.deepcopy(block)
    file = io.BytesIO()
    torch.save(block, file)
    file.seek(0)
    for same in (other, torch.load(file, weights_only=False)):
        assert same not in weights
        assert_same(fused(same, tokens), plain(block, tokens))


def test_nothing_keeps_a_block_that_was_used(tokens):
    block = block_of()
    fused(block, tokens)
    gone = weakref.ref(block)
    del block
    gc.collect()
    assert gone() is None
