"""Equals ``fsr.par.refine``: fused GPU kernels, or one neighbour at a time.

One at a time, memory does not grow with their number; the kernels keep the weights alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from tagseg.fast.kernels import kernels_serve
from tagseg.fsr.config import LabelConfig
from tagseg.fsr.par import DIRECTIONS, at_least_float32, neighbours, position_weights


def refine(
    image: Float[Tensor, "B 3 h w"], maps: Float[Tensor, "B M h w"], config: LabelConfig
) -> Float[Tensor, "B M h w"]:
    """Refined maps; arguments as of ``fsr.par.refine``. Each channel is refined on its own."""
    if _kernels_serve(image, maps):
        from tagseg.fast import par_triton

        return par_triton.refine(image, maps, config)
    weights = neighbour_weights(image, config)
    for _ in range(config.refine_iterations):
        refined = torch.zeros_like(maps)
        for j, neighbour in enumerate(neighbours(maps, config.refine_dilations)):
            refined.addcmul_(weights[:, j : j + 1], neighbour)
        maps = refined
    return maps


def _kernels_serve(image: Tensor, maps: Tensor) -> bool:
    """On a GPU with Triton, in float32 and where no gradient is asked for, as in every step."""
    if not (image.is_cuda and kernels_serve(maps)):
        return False
    needs_gradient = torch.is_grad_enabled() and (image.requires_grad or maps.requires_grad)
    return maps.dtype == torch.float32 and image.dtype != torch.float64 and not needs_gradient


def neighbour_weights(image: Float[Tensor, "B 3 h w"], config: LabelConfig) -> Float[Tensor, "B J h w"]:
    """weight_ij for the J = 8 · len(dilations) neighbours j of each pixel i."""
    dilations, sharpness = config.refine_dilations, config.refine_sharpness
    image = at_least_float32(image)
    deviation = _neighbour_std(image, dilations) + 1e-8
    affinity = [
        -((neighbour - image) / deviation / sharpness).square().mean(dim=1)
        for neighbour in neighbours(image, dilations)
    ]
    spatial = position_weights(dilations, sharpness).to(image).view(1, -1, 1, 1)
    return torch.softmax(torch.stack(affinity, dim=1), dim=1) + config.refine_spatial_weight * spatial


def _neighbour_std(image: Tensor, dilations: Sequence[int]) -> Float[Tensor, "B 3 h w"]:
    """Unbiased standard deviation of the neighbours' values, per channel, in two passes to keep float32's digits."""
    count = len(DIRECTIONS) * len(dilations)
    mean = torch.zeros_like(image)
    for neighbour in neighbours(image, dilations):
        mean += neighbour / count
    variance = torch.zeros_like(image)
    for neighbour in neighbours(image, dilations):
        variance += (neighbour - mean).square() / (count - 1)
    return variance.sqrt()
