"""Rotary positions of timm's modules for any grid."""

from typing import Any

import pytest
import torch
from timm.layers import RotaryEmbeddingCat
from torch import nn

from tagseg.errors import TagsegError
from tagseg.model.rotary import RotaryPositions


def test_a_module_for_one_grid_makes_positions_for_all():
    options: dict[str, Any] = {"dim": 16, "in_pixels": False, "ref_feat_shape": [3, 3], "temperature": 10_000}
    positions = RotaryPositions(RotaryEmbeddingCat(**options, feat_shape=[4, 4]), "a name")
    for h, w in ((4, 4), (2, 7)):
        first, second = positions((h, w), 2)
        torch.testing.assert_close(first, RotaryEmbeddingCat(**options).get_embed([h, w]))
        assert torch.equal(first, second)


class Learned(nn.Module):
    """Frequencies of each block and head; shaken while training."""

    def get_embed(self, shape):
        count = shape[0] * shape[1]
        return torch.ones(3, 2, count, 8) * torch.arange(3).view(3, 1, 1, 1) + self.training


def test_each_block_gets_its_own_where_they_differ_and_training_shakes_none():
    positions = RotaryPositions(Learned(), "a name").train()
    assert [p.unique().tolist() for p in positions((2, 5), 3)] == [[0], [1], [2]]
    assert positions((2, 5), 3)[0].shape == (2, 10, 8)


class Fixed(nn.Module):
    """Knows one grid alone."""

    def get_embed(self, shape):
        return torch.ones(16, 8)


def test_a_module_that_knows_one_grid_alone_is_refused():
    with pytest.raises(TagsegError, match="'a name' has rotary positions \\(Fixed\\) of one fixed size"):
        RotaryPositions(Fixed(), "a name")
