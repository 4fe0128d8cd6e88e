"""The position-only Gaussian of the dense CRF: separable, symmetrically normalised."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from tagseg.pairwise.exact import full_precision

REACH = 4.0
"""Widths after which ``taps`` ends: a neighbour beyond weighs less than exp(−8) = 0.0003 of the pixel itself."""


def taps(sigma: float) -> Float[Tensor, " reach"]:
    """exp(−½(d/σ)²) for the distances d = 0, 1 … ⌈4σ⌉ pixels; float64."""
    distance = torch.arange(math.ceil(REACH * sigma) + 1, dtype=torch.float64)
    return torch.exp(-0.5 * (distance / sigma).square())


def normaliser(side: int, sigma: float) -> Float[Tensor, " side"]:
    """n_i = 1 / √(Σ_j k_ij) along one axis of ``side`` pixels; the product of both axes' is the plane's; float64."""
    weights = taps(sigma)
    before = torch.cumsum(weights, 0) - weights[0]  # what lies on one side, up to each distance
    left = before[torch.arange(side).clamp(max=len(weights) - 1)]
    return (weights[0] + left + left.flip(0)).rsqrt()


def axis_kernel(side: int, sigma: float) -> Float[Tensor, "side side"]:
    """n_i k_ij n_j along one axis; float64."""
    weights, norm = taps(sigma), normaliser(side, sigma)
    distance = (torch.arange(side)[:, None] - torch.arange(side)).abs()
    kernel = torch.where(distance < len(weights), weights[distance.clamp(max=len(weights) - 1)], 0.0)
    return norm[:, None] * kernel * norm


@lru_cache(maxsize=16)
def _kernel_on(side: int, sigma: float, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "side side"]:
    """``axis_kernel`` on a device; cached, as every iteration needs it."""
    return axis_kernel(side, sigma).to(device, dtype)


def smooth(values: Float[Tensor, "B H W C"], sigma: float) -> Float[Tensor, "B H W C"]:
    """Σ_j n_i exp(−½‖x_i − x_j‖²/σ²) n_j v_j over the pixels of each image, n_i = 1 / √(Σ_j k_ij).

    A convolution along each axis, written as one small banded matrix each, so that borders need no special care.
    """
    rows, columns = (_kernel_on(side, sigma, values.device, values.dtype) for side in values.shape[1:3])
    with full_precision(values.device.type):
        return torch.einsum("yi,bixc->byxc", rows, torch.einsum("xj,byjc->byxc", columns, values))
