"""Masking (section 4 of docs/method.md): which patches of view 2 are masked for the student. True = masked."""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from tagseg.fsr.config import MaskConfig


def draw_mask(
    seeds: Int64[Tensor, " B"],
    uncertain: Bool[Tensor, "B H W"] | None,
    size: tuple[int, int],
    patch: int,
    config: MaskConfig,
    device: torch.device | None = None,
) -> Bool[Tensor, "B h w"]:
    """Masked patches of each image.

    Args:
        seeds: one an image, from which its random blocks are drawn.
        uncertain: pixels of the uncertain region; ``None`` masks at random.
        size: H and W.
        patch: side of a patch in pixels.
        config: side of a block and share of the blocks to mask.
        device: where the mask is wanted; default: where the seeds are.
    """
    height, width = size
    noise = block_noise(seeds.tolist(), (height // config.block, width // config.block)).to(device or seeds.device)
    return to_patches(block_mask(noise, uncertain, config.ratio), (height // patch, width // patch))


def block_mask(
    noise: Float[Tensor, "B gh gw"], uncertain: Bool[Tensor, "B H W"] | None, ratio: float
) -> Bool[Tensor, "B gh gw"]:
    """Mask ceil(ratio · blocks) blocks of each image: uncertain ones first, random ones fill up.

    Args:
        noise: U(0, 1) draws, one a block.
        uncertain: pixels of the uncertain region, nearest-resized to the grid; ``None`` masks at random.
        ratio: share of the blocks to mask.
    """
    scores = noise
    if uncertain is not None:
        grid = F.interpolate(uncertain.unsqueeze(1).float(), size=noise.shape[-2:], mode="nearest")
        scores = noise + grid.squeeze(1)
    count = masked_blocks(ratio, scores[0].numel())
    masked = torch.zeros_like(scores, dtype=torch.bool).flatten(1)
    masked.scatter_(1, scores.flatten(1).topk(count, dim=1).indices, True)
    return masked.view_as(scores)


def masked_blocks(ratio: float, blocks: int) -> int:
    """ceil(ratio · blocks)."""
    return math.ceil(Fraction(str(ratio)) * blocks)  # 0.07 of 100 is 7, not 7.000000000000001


def to_patches(mask: Bool[Tensor, "B gh gw"], grid: tuple[int, int]) -> Bool[Tensor, "B h w"]:
    """Spread a block mask over the patches: 4 × 4 patches a block at 64-pixel blocks and patches of 16."""
    return F.interpolate(mask.unsqueeze(1).float(), size=grid, mode="nearest").squeeze(1).bool()


def masked_places(
    mask: Bool[Tensor, "B h w"], size: tuple[int, int], patch: int, config: MaskConfig
) -> Int64[Tensor, " M"]:
    """Places of the masked patches among all B · h · w of a mask that ``draw_mask`` has made with these settings."""
    return mask.flatten().nonzero().flatten()


def block_noise(seeds: list[int], grid: tuple[int, int]) -> Float[Tensor, "B gh gw"]:
    """U(0, 1) draws that depend on each image's own seed alone, not on its place in a batch or on a device."""
    return torch.stack([torch.rand(grid, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
