"""Pixel-adaptive refinement, PAR (section 6 of docs/method.md): maps are averaged over neighbours of similar colour."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from tagseg.fsr.config import LabelConfig

DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""Row and column steps to the 8 neighbours."""


def refine(
    image: Float[Tensor, "B 3 h w"], maps: Float[Tensor, "B M h w"], config: LabelConfig
) -> Float[Tensor, "B M h w"]:
    """``refine_iterations`` times M_i ← Σ_j weight_ij M_j, over 8 neighbours j at each dilation.

    Memory grows with the number of neighbours.

    Args:
        image: in [0, 1].
        maps: what to refine, each channel on its own.
        config: settings of PAR.
    """
    dilations, sharpness = config.refine_dilations, config.refine_sharpness
    image = at_least_float32(image)
    around = torch.stack(list(neighbours(image, dilations)), dim=2)  # (B, 3, J, h, w)
    deviation = around.std(dim=2, keepdim=True) + 1e-8
    affinity = -(((around - image.unsqueeze(2)).abs() / deviation / sharpness) ** 2).mean(dim=1)
    spatial = position_weights(dilations, sharpness).to(image).view(1, -1, 1, 1)
    weights = torch.softmax(affinity, dim=1) + config.refine_spatial_weight * spatial
    for _ in range(config.refine_iterations):
        maps = (torch.stack(list(neighbours(maps, dilations)), dim=2) * weights.unsqueeze(1)).sum(dim=2)
    return maps


def at_least_float32(image: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B 3 h w"]:
    """Half precision has no 1e-8: a deviation of 0 would be divided by."""
    return image.to(torch.promote_types(image.dtype, torch.float32))


def position_weights(dilations: Sequence[int], sharpness: float) -> Float[Tensor, " J"]:
    """Softmax over the J = 8 · len(dilations) neighbours of −(distance / its deviation / sharpness)²."""
    distance = torch.tensor([d * math.hypot(*direction) for d in dilations for direction in DIRECTIONS])
    return torch.softmax(-((distance / (distance.std() + 1e-8) / sharpness) ** 2), dim=0)


def neighbours(maps: Float[Tensor, "B M h w"], dilations: Sequence[int]) -> Iterator[Float[Tensor, "B M h w"]]:
    """The maps shifted to each neighbour, edges repeated: views of one padded copy."""
    h, w = maps.shape[-2:]
    reach = max(dilations)
    padded = F.pad(maps, (reach, reach, reach, reach), mode="replicate")
    for dilation in dilations:
        for dy, dx in DIRECTIONS:
            top, left = reach + dy * dilation, reach + dx * dilation
            yield padded[..., top : top + h, left : left + w]
