"""Equals ``fsr.masking``: the host waits for nothing, as it knows how many patches of an image are masked."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from tagseg.data.transfer import send
from tagseg.fsr import masking as plain
from tagseg.fsr.config import MaskConfig


def draw_mask(
    seeds: Int64[Tensor, " B"],
    uncertain: Bool[Tensor, "B H W"] | None,
    size: tuple[int, int],
    patch: int,
    config: MaskConfig,
    device: torch.device | None = None,
) -> Bool[Tensor, "B h w"]:
    """Equals ``fsr.masking.draw_mask``."""
    height, width = size
    noise = plain.block_noise(seeds.tolist(), (height // config.block, width // config.block))
    there = send(noise, device or seeds.device)
    return plain.to_patches(plain.block_mask(there, uncertain, config.ratio), (height // patch, width // patch))


def masked_places(
    mask: Bool[Tensor, "B h w"], size: tuple[int, int], patch: int, config: MaskConfig
) -> Int64[Tensor, " M"]:
    """Equals ``fsr.masking.masked_places``."""
    each = masked_each(size, patch, config)
    if each is None:
        return plain.masked_places(mask, size, patch, config)
    flat = mask.flatten(1)
    places = flat.byte().argsort(dim=1, descending=True, stable=True)[:, :each]
    first = torch.arange(0, flat.numel(), max(1, flat.shape[1]), device=mask.device)
    return (places + first[:, None]).flatten()


def masked_each(size: tuple[int, int], patch: int, config: MaskConfig) -> int | None:
    """How many patches of each image ``draw_mask`` masks; ``None`` where blocks have different numbers of patches."""
    height, width = size
    rows, columns = height // config.block, width // config.block
    h, w = height // patch, width // patch
    if h % rows or w % columns:
        return None
    return plain.masked_blocks(config.ratio, rows * columns) * (h // rows) * (w // columns)
