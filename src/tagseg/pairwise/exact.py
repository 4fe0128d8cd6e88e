"""The exact Gaussian sum Σ_j exp(−½‖f_i − f_j‖²) v_j in blocked matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from tagseg.errors import TagsegError

BLOCK_ENTRIES = {"cpu": 1 << 18, "cuda": 1 << 26}
"""Kernel entries held at a time: on a CPU 1 MB of float32, which fits a core's cache, on a GPU 256 MB; no N × N matrix
is ever built."""

MOST_CPU_BYTES = 2e9
"""Kernel entries of one image, 4 · N² bytes, that a CPU may be asked to evaluate: 22,360 points, some seconds."""

LEAST_EXPONENT = -60.0
"""Exponents are clamped to [-60, 0]. Rounding can leave a positive one at coinciding points; far below -60 the kernel
would be denormal numbers, which a CPU multiplies some fifteen times slower. exp(-60) = 9e-27 adds nothing to float32
sums that hold the point itself (1)."""


def check_size(points: int, device: str) -> None:
    """Raise ``TagsegError`` where the exact sum over so many points of an image is too much for a CPU."""
    entries = 4.0 * points * points
    if device == "cpu" and entries > MOST_CPU_BYTES:
        most = int((MOST_CPU_BYTES / 4) ** 0.5)
        raise TagsegError(
            f"an exact filter over {points:,} points is {entries / 1e9:.1f} GB of kernel entries, expected at most "
            f"{MOST_CPU_BYTES / 1e9:.0f} GB ({most:,} points) on a CPU: use method lattice, smaller images or a GPU"
        )


@torch.no_grad()
def exact_filter(points: Float[Tensor, "B N F"], values: Float[Tensor, "B N M"]) -> Float[Tensor, "B N M"]:
    """Σ_j exp(−½‖f_i − f_j‖²) v_j for every i, the point itself included; float32, no approximation.

    Cost N² · (F + M), memory linear in N. The kernel is symmetric: each pair of blocks is evaluated once, used twice.

    Raises:
        TagsegError: too many points for a CPU.
    """
    check_size(points.shape[1], points.device.type)
    # −½‖a − b‖² = a·b − ½‖a‖² − ½‖b‖²: one matrix product, with both norms as extra columns. Exponents are differences
    # of large numbers here.
    points = points.float() - points.float().mean(dim=1, keepdim=True)
    norm = -0.5 * points.square().sum(dim=2, keepdim=True)
    one = torch.ones_like(norm)
    left, right = torch.cat([points, norm, one], dim=2), torch.cat([points, one, norm], dim=2)
    with full_precision(points.device.type):
        # Matrix products are a third slower at odd widths.
        padded = F.pad(values.float(), (0, -values.shape[2] % 8))
        return _sum_of_blocks(left, right, padded)[..., : values.shape[2]]


def _sum_of_blocks(left: Tensor, right: Tensor, values: Tensor) -> Tensor:
    """Σ_j exp(left_i · right_j) v_j, block by block."""
    result = torch.zeros_like(values)
    side = max(1, int(BLOCK_ENTRIES.get(left.device.type, BLOCK_ENTRIES["cpu"]) ** 0.5))
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
def full_precision(device: str) -> Iterator[None]:
    """Neither autocast nor TF32 inside: for what needs all of float32's digits."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
