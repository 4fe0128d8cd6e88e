"""Equals ``model.encoder.Encoder.first_tokens`` on a GPU: patches as one product, positions as two.

In bfloat16 a GPU's convolutions of patches, and the gradient of bicubic resizing for hundreds of channels, take
milliseconds; products take microseconds.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from tagseg.model.encoder import Encoder
from tagseg.pairwise.exact import full_precision


def first_tokens(
    encoder: Encoder, images: Float[Tensor, "B 3 H W"], mask: Bool[Tensor, "B h w"] | None = None
) -> tuple[Float[Tensor, "B _T D"], tuple[int, int]]:
    """Arguments as of the plain form, which it is on a CPU and for sizes that are refused."""
    patch = encoder.patch_size
    if not images.is_cuda or images.shape[-2] % patch or images.shape[-1] % patch:
        return encoder.first_tokens(images, mask)
    return by_products(encoder, images, mask)


def by_products(
    encoder: Encoder, images: Float[Tensor, "B 3 H W"], mask: Bool[Tensor, "B h w"] | None = None
) -> tuple[Float[Tensor, "B _T D"], tuple[int, int]]:
    """The same, on any device."""
    grid = (images.shape[-2] // encoder.patch_size, images.shape[-1] // encoder.patch_size)
    tokens = encoder.patch_norm(embed_patches(encoder.patch_embed, images))
    if mask is not None:
        tokens = torch.where(mask.flatten(1).unsqueeze(-1), encoder.mask_token.to(tokens.dtype), tokens)
    if encoder.positions is not None:
        tokens = tokens + resize_positions(encoder.positions, encoder.grid, grid)
    if encoder.register_tokens is not None:
        tokens = torch.cat([encoder.register_tokens.expand(len(tokens), -1, -1), tokens], dim=1)
    return encoder.norm_pre(tokens), grid


def embed_patches(convolution: Any, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N D"]:
    """A convolution of patches that do not overlap: each patch's pixels times the kernels."""
    height, width = convolution.kernel_size
    # (B, 3, h, p, w, p) → (B, h, w, 3, p, p) → (B, N, 3·p·p), the order of the kernels' weights
    patches = images.unflatten(3, (-1, width)).unflatten(2, (-1, height)).permute(0, 2, 4, 1, 3, 5)
    return F.linear(patches.flatten(3).flatten(1, 2), convolution.weight.flatten(1), convolution.bias)


def resize_positions(
    positions: Float[Tensor, "1 M D"], grid: tuple[int, int], to: tuple[int, int]
) -> Float[Tensor, "1 N D"]:
    """Resized bicubic, without antialiasing: M = h · w positions of ``grid`` to N = h · w of the grid ``to``.

    Bicubic resizing is linear along each axis: a product with a fixed matrix for each. At least in float32.
    """
    if grid == to:
        return positions
    dtype = torch.promote_types(positions.dtype, torch.float32)
    rows, columns = (_weights(*sides, positions.device, dtype) for sides in zip(grid, to, strict=True))
    plane = positions[0].to(dtype)
    with full_precision(plane.device.type):
        tall = rows @ plane.view(grid[0], -1)  # (h', w · D)
        wide = columns @ tall.view(to[0], grid[1], -1)  # (h', w', D)
    return wide.flatten(0, 1).unsqueeze(0).to(positions.dtype)


@cache  # a few kB each; recorded passes read them where they lie, so none may be forgotten
def _weights(side: int, to: int, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "to side"]:
    """The bicubic weights of each of ``side`` values in each of ``to``; kept, as every pass needs some."""
    with torch.inference_mode(False):  # those made while predicting may be trained with later
        each = torch.eye(side, dtype=torch.float64).view(1, side, side, 1)
        weights = F.interpolate(each, size=(to, 1), mode="bicubic", align_corners=False)[0, :, :, 0].T
        return weights.to(device, dtype).contiguous()
