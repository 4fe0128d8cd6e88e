"""Pixel-adaptive refinement as METHOD §6 says it, all neighbours of all pixels in one tensor: to compare ``refine``."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from tagseg.config import LabelConfig
from tagseg.pseudo.refine import DIRECTIONS, neighbours


def plain_refine(
    image: Float[Tensor, "B 3 h w"], maps: Float[Tensor, "B M h w"], config: LabelConfig
) -> Float[Tensor, "B M h w"]:
    """Refine maps; memory grows with the number of neighbours.

    Args:
        image: in [0, 1].
        maps: what to refine.
        config: PAR's settings.
    """
    dilations, sharpness = config.refine_dilations, config.refine_sharpness
    around = torch.stack(list(neighbours(image, dilations)), dim=2)  # (B, 3, J, h, w)
    spread = around.std(dim=2, keepdim=True) + 1e-8
    affinity = -(((around - image.unsqueeze(2)).abs() / spread / sharpness) ** 2).mean(dim=1)
    distance = torch.tensor([d * math.hypot(*direction) for d in dilations for direction in DIRECTIONS])
    position = -((distance / (distance.std() + 1e-8) / sharpness) ** 2)
    spatial = torch.softmax(position, dim=0).to(image).view(1, -1, 1, 1)
    weights = torch.softmax(affinity, dim=1) + config.refine_spatial_weight * spatial
    for _ in range(config.refine_iterations):
        maps = (torch.stack(list(neighbours(maps, dilations)), dim=2) * weights.unsqueeze(1)).sum(dim=2)
    return maps
