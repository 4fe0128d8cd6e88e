"""One Gaussian filter over position and colour: Σ_j exp(−½‖f_i − f_j‖²) v_j, exactly, in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

BLOCK_ENTRIES = 1 << 18
"""Kernel entries held at a time: 1 MB in float32, which fits a core's cache; no N × N matrix is ever built."""

LEAST_EXPONENT = -60.0
"""Exponents are clamped to [-60, 0]. Rounding can leave a positive one at coinciding points; far below -60 the kernel
would be denormal numbers, which a CPU multiplies some fifteen times slower. exp(-60) = 9e-27 adds nothing to float32
sums that hold the point itself (1)."""


def features(image: Float[Tensor, "B 3 H W"], sigma_xy: float, sigma_rgb: float) -> Float[Tensor, "B N 5"]:
    """Position over ``sigma_xy`` and colour over ``sigma_rgb`` of each pixel; colours in 0 to 255, N = H·W."""
    h, w = image.shape[-2:]
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    position = torch.stack([x, y]).to(image).flatten(1).T / sigma_xy
    colour = image.flatten(2).transpose(1, 2) / sigma_rgb
    return torch.cat([position.expand(len(image), -1, -1), colour], dim=2)


@torch.no_grad()
def gaussian_filter(points: Float[Tensor, "B N F"], values: Float[Tensor, "B N M"]) -> Float[Tensor, "B N M"]:
    """Σ_j exp(−½‖f_i − f_j‖²) v_j for every i, the point itself included; float32, no approximation.

    The kernel is symmetric, so each pair of blocks is evaluated once and used twice. Cost N² · (F + M), memory
    linear in N.
    """
    # −½‖a − b‖² = a·b − ½‖a‖² − ½‖b‖²: one matrix product, with both norms as extra columns.
    points = points.float() - points.float().mean(dim=1, keepdim=True)
    norm = -0.5 * points.square().sum(dim=2, keepdim=True)
    one = torch.ones_like(norm)
    left, right = torch.cat([points, norm, one], dim=2), torch.cat([points, one, norm], dim=2)
    with _full_precision(points.device.type):
        # Matrix products are a third slower at odd widths.
        padded = F.pad(values.float(), (0, -values.shape[2] % 8))
        return _sum_of_blocks(left, right, padded)[..., : values.shape[2]]


def _sum_of_blocks(left: Tensor, right: Tensor, values: Tensor) -> Tensor:
    """Σ_j exp(left_i · right_j) v_j, block by block."""
    result = torch.zeros_like(values)
    side = max(1, int(BLOCK_ENTRIES**0.5))
    starts = range(0, left.shape[1], side)
    for b in range(len(left)):
        for i in starts:
            rows = slice(i, i + side)
            for j in range(i, left.shape[1], side):
                columns = slice(j, j + side)
                kernel = (left[b, rows] @ right[b, columns].T).clamp_(LEAST_EXPONENT, 0).exp_()
                result[b, rows].addmm_(kernel, values[b, columns])
                if i != j:
                    result[b, columns].addmm_(kernel.T, values[b, rows])
    return result


@contextmanager
def _full_precision(device: str) -> Iterator[None]:
    """Neither autocast nor TF32: exponents are differences of large numbers and need all of float32's digits."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
