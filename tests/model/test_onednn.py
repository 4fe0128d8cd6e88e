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

from tagseg.model.onednn import fused_block, weights_packed
from tagseg.model.packed import run_block

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch without oneDNN")
SHAPES = [(2, 5), (3, 4)]


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
    with weights_packed([block]):
        assert fused_block(block) is not None
        return run_block(block, tokens, SHAPES)


def assert_same(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"qkv_bias": False}, {"proj_bias": False}, {"qk_norm": True}], ids=str)
def test_a_fused_block_gives_what_the_block_gives(tokens, options):
    block = block_of(**options)
    assert_same(fused(block, tokens), plain(block, tokens))


def test_several_cores_pack_the_same_without_a_word(tokens):
    blocks = [block_of(seed) for seed in range(4)]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ours = fused(blocks[0], tokens)
            with weights_packed(blocks), torch.no_grad():
                every = [run_block(block, tokens, SHAPES) for block in blocks]
    finally:
        torch.set_num_threads(before)
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
    with torch.no_grad(), weights_packed([block]):
        assert fused_block(block) is None
        x = tokens.to(next(block.parameters()).dtype)
        theirs = plain(block, x)
        torch.testing.assert_close(run_block(block, x, SHAPES).float(), theirs.float(), rtol=0.02, atol=0.02)


def test_under_autocast_or_with_onednn_switched_off_it_runs_as_it_is():
    block = block_of()
    with torch.autocast("cpu", torch.bfloat16), weights_packed([block]):
        assert fused_block(block) is None
    with torch.backends.mkldnn.flags(enabled=False), weights_packed([block]):
        assert fused_block(block) is None
    with weights_packed([block]):
        assert fused_block(block) is not None, "and fits otherwise"


def test_weights_made_in_inference_mode_can_be_used_outside_of_it(tokens):
    with torch.inference_mode():
        block = block_of()
    assert_same(fused(block, tokens), plain(block, tokens))


def test_weights_are_packed_only_inside_and_once():
    first, second = block_of(), block_of()
    with weights_packed([first]):
        packed = fused_block(first)
        with weights_packed([first, second]):
            assert fused_block(first) is packed
            assert fused_block(second) is not None
        assert fused_block(first) is packed
        assert fused_block(second) is None
    assert fused_block(first) is None


def test_an_error_inside_forgets_the_weights_too():
    block = block_of()
    with pytest.raises(RuntimeError, match="inside"), weights_packed([block]):
        raise RuntimeError("inside")
    assert fused_block(block) is None


def test_two_users_who_pack_at_the_same_time_do_not_disturb_each_other():
    """As two threads do that find a block not yet packed: neither knows of the other's."""
    block = block_of()
    one = weights_packed([block])
    two = weights_packed(then_enter([block], one))
    with two:
        one.__exit__(None, None, None)
        assert fused_block(block) is None
    assert fused_block(block) is None


def then_enter(blocks, other):
    """The blocks; after they have been looked at, ``other`` is entered and believes that they are its own."""
    yield from blocks
    other.__enter__()


def test_a_packed_block_can_be_copied_and_saved(tokens):
    block = block_of()
    with weights_packed([block]):
        other = copy.deepcopy(block)
        file = io.BytesIO()
        torch.save(block, file)
    file.seek(0)
    for same in (other, torch.load(file, weights_only=False)):
        assert_same(fused(same, tokens), plain(block, tokens))


def test_nothing_keeps_a_block_that_was_used(tokens):
    block = block_of()
    fused(block, tokens)
    gone = weakref.ref(block)
    del block
    gc.collect()
    assert gone() is None
