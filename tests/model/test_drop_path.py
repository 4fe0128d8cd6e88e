"""Drop path: an image's draws come from its own seed; without seeds it is timm's."""

import copy
import dataclasses

import pytest
import torch
from timm.layers import DropPath
from timm.models.vision_transformer import Block

from tagseg.model.encoder import SeededDropPath, draw_kept, replace_drop_paths

from ..conftest import TINY, tiny_network

SEEDS = [11, 12, 13, 14]


def encoder_of(rate=0.5):
    return tiny_network(config=dataclasses.replace(TINY, drop_path=rate)).encoder.train()


@pytest.fixture
def images():
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("order", [[3, 1, 0, 2], [2], [0, 3]])
def test_an_images_draws_do_not_depend_on_its_batch(images, order):
    encoder = encoder_of()
    together = encoder(images, seeds=SEEDS).tokens
    some = encoder(images[order], seeds=[SEEDS[i] for i in order]).tokens
    torch.testing.assert_close(some, together[order], rtol=1e-4, atol=1e-5)
    other = encoder(images[order], seeds=[SEEDS[i] + 100 for i in order]).tokens
    assert not torch.allclose(other, some, atol=1e-3), "and other seeds draw otherwise"


def test_a_branch_is_kept_as_often_as_its_rate_says():
    drop_paths = [[SeededDropPath(rate), SeededDropPath(rate)] for rate in (0.1, 0.5, 0.9)] + [[]]
    kept = draw_kept(drop_paths, range(4000))
    assert kept.shape == (4, 2, 4000)
    share = kept.float().mean(-1)
    expected = torch.tensor([0.9, 0.5, 0.1, 1.0]).view(4, 1).expand(4, 2)
    torch.testing.assert_close(share, expected, rtol=0, atol=0.03)
    assert (kept[1, 0] == kept[1, 1]).float().mean() < 0.6, "both branches of a block are drawn apart"


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_kept_branches_are_enlarged_and_the_others_are_0(rate):
    drop_path = SeededDropPath(rate).train()
    drop_path.kept = torch.tensor([True, False]) if rate < 1 else torch.tensor([False, False])
    x = torch.rand(2, 3, 4) + 1
    result = drop_path(x)
    expected = x[0] / (1 - rate) if rate < 1 else torch.zeros_like(x[0])
    torch.testing.assert_close(result[0], expected)
    assert not result[1].any()


def test_the_expectation_of_a_branch_is_the_branch():
    drop_path = SeededDropPath(0.4).train()
    drop_path.kept = draw_kept([[drop_path]], range(5000))[0, 0]
    assert drop_path(torch.ones(5000, 1, 1)).mean().item() == pytest.approx(1, abs=0.05)


def test_without_seeds_it_draws_what_timm_draws():
    x, drawn = torch.rand(8, 3, 4), []
    for kind in (SeededDropPath, DropPath):
        torch.manual_seed(0)
        drawn.append(kind(0.5).train()(x))
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0], x)


def test_a_pass_with_seeds_leaves_nothing_for_one_without(images):
    encoder = encoder_of()
    encoder(images, seeds=SEEDS)
    torch.manual_seed(0)
    first = encoder(images).tokens
    torch.manual_seed(1)
    assert not torch.equal(first, encoder(images).tokens)
    encoder(images[:1])  # a batch of another size


def test_in_evaluation_mode_nothing_is_dropped(images):
    encoder = encoder_of(0.9).eval()
    assert torch.equal(encoder(images, seeds=SEEDS).tokens, encoder_of(0.0).eval()(images).tokens)
    drop_path = SeededDropPath(0.9).eval()
    drop_path.kept = torch.zeros(4, dtype=torch.bool)
    assert torch.equal(drop_path(images), images)


def test_every_drop_path_of_a_block_is_replaced_by_one_of_its_rate():
    block = Block(48, 3, drop_path=0.3)
    drop_paths = replace_drop_paths(block)
    assert drop_paths == [block.drop_path1, block.drop_path2]
    assert [drop_path.drop_prob for drop_path in drop_paths] == [0.3, 0.3]
    assert all(type(drop_path) is SeededDropPath for drop_path in drop_paths)
    assert replace_drop_paths(Block(48, 3)) == []


def test_a_copy_tells_its_own_blocks_what_to_keep(images):
    """The teacher is a copy of the student."""
    encoder = encoder_of()
    expected = encoder(images, seeds=SEEDS).tokens
    other = copy.deepcopy(encoder)
    assert torch.equal(other(images, seeds=SEEDS).tokens, expected)


@pytest.mark.parametrize("seeds", [SEEDS, None])
def test_recomputing_changes_neither_output_nor_gradients(images, seeds):
    encoder = encoder_of()
    results, calls = [], []
    encoder.blocks[1].register_forward_pre_hook(lambda *_: calls.append(1))
    for recompute in (False, True):
        encoder.zero_grad()
        torch.manual_seed(0)
        first = encoder(images, seeds=seeds, recompute=recompute)
        other_seeds = None if seeds is None else [5, 6]
        second = encoder(images[:2], seeds=other_seeds, recompute=recompute)  # before the first goes backward
        (first.tokens.square().mean() + second.auxiliary.square().mean()).backward()
        gradients = {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}
        results.append((first.tokens.detach(), gradients))
    (plain, before), (ours, after) = results
    assert len(calls) == 2 + 4, "computed again in the backward pass"
    assert torch.equal(ours, plain)
    assert before.keys() == after.keys()
    for name, gradient in before.items():
        torch.testing.assert_close(after[name], gradient, rtol=1e-4, atol=1e-7)
