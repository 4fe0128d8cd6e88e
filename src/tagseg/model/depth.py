"""Stochastic depth whose draws can be given: an image's depends on its own seed, not on its place in a batch.

So the losses of a batch are the same whether one process trains on it or several share it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from timm.layers import DropPath
from torch import Tensor, nn


class StochasticDepth(DropPath):
    """timm's, except that it keeps what it is told to.

    Attributes:
        kept: (B,) bool, which images keep this branch; ``None`` draws from PyTorch's generator, as timm does.
    """

    kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop the whole branch of an image with probability ``drop_prob``, enlarge the others; nothing in evaluation.

        (B, N, D) → (B, N, D).
        """
        if self.kept is None or not self.training:
            result: Tensor = super().forward(x)
            return result
        factor = self.kept.to(x.dtype)
        if self.scale_by_keep and self.drop_prob < 1:
            factor = factor / (1 - self.drop_prob)
        return x * factor.view(-1, *[1] * (x.ndim - 1))


def take_over(block: nn.Module) -> list[StochasticDepth]:
    """Replace each ``DropPath`` of a block by a ``StochasticDepth`` of its rate; returns them in order."""
    depths = []
    for name, child in list(block.named_modules()):
        if isinstance(child, DropPath):
            parent, _, attribute = name.rpartition(".")
            depths.append(StochasticDepth(child.drop_prob, child.scale_by_keep))
            setattr(block.get_submodule(parent), attribute, depths[-1])
    return depths


def add_branch(
    tokens: Float[Tensor, "B N D"],
    branch: Callable[[Tensor], Tensor],
    depth: StochasticDepth,
    kept: Bool[Tensor, " B"],
) -> Float[Tensor, "B N D"]:
    """``tokens + depth(branch(tokens))``, the branch computed for the images alone that keep it."""
    factor = 1 / (1 - depth.drop_prob) if depth.scale_by_keep and depth.drop_prob < 1 else 1.0
    if kept.all():
        return torch.add(tokens, branch(tokens), alpha=factor)
    if not kept.any():
        return tokens
    images = kept.nonzero().flatten()
    return tokens.index_add(0, images, branch(tokens.index_select(0, images)), alpha=factor)


def draw_kept(depths: Sequence[Sequence[StochasticDepth]], seeds: Sequence[int]) -> Bool[Tensor, "blocks places B"]:
    """Which images (one a seed) keep which branch of which block."""
    places = max((len(row) for row in depths), default=0)
    rates = torch.zeros(len(depths), places)
    for index, row in enumerate(depths):
        rates[index, : len(row)] = torch.tensor([depth.drop_prob for depth in row])
    draws = [torch.rand(rates.shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(draws, dim=-1) >= rates.unsqueeze(-1)
