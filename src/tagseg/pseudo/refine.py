"""Pixel-adaptive refinement, PAR (METHOD §6): maps flow along similar colours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def refine(
    image: Float[Tensor, "B 3 h w"],
    maps: Float[Tensor, "B M h w"],
    iterations: int = 10,
    dilations: Sequence[int] = (1, 2, 4, 8, 12, 24),
    spatial_weight: float = 0.01,
    sharpness: float = 0.3,
) -> Float[Tensor, "B M h w"]:
    """Refine maps: ``iterations`` times M_i ← Σ_j weight_ij M_j over 8 neighbours at each dilation.

    Args:
        image: in [0, 1].
        maps: what to refine; each channel on its own, so maps of several thresholds can be stacked.
        iterations: number of steps.
        dilations: distances of the neighbours in pixels; outside the image its edge is repeated.
        spatial_weight: weight of the position term.
        sharpness: divisor of the normalised differences.
    """
    weights = neighbour_weights(image, dilations, spatial_weight, sharpness)
    for _ in range(iterations):
        refined = torch.zeros_like(maps)
        for j, neighbour in enumerate(neighbours(maps, dilations)):
            refined.addcmul_(weights[:, j : j + 1], neighbour)
        maps = refined
    return maps


def neighbour_weights(
    image: Float[Tensor, "B 3 h w"], dilations: Sequence[int], spatial_weight: float, sharpness: float
) -> Float[Tensor, "B J h w"]:
    """weight_ij of METHOD §6 for the J = 8 · len(dilations) neighbours j of each pixel i."""
    spread = _neighbour_std(image, dilations) + 1e-8
    affinity = [
        -((neighbour - image) / spread / sharpness).square().mean(dim=1) for neighbour in neighbours(image, dilations)
    ]
    distance = torch.tensor([d * math.hypot(*direction) for d in dilations for direction in DIRECTIONS])
    position = torch.softmax(-((distance / (distance.std() + 1e-8) / sharpness) ** 2), dim=0)
    weights = torch.softmax(torch.stack(affinity, dim=1), dim=1)
    return weights + spatial_weight * position.to(image).view(1, -1, 1, 1)


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


def neighbours(maps: Float[Tensor, "B M h w"], dilations: Sequence[int]) -> Iterator[Float[Tensor, "B M h w"]]:
    """The maps shifted to each neighbour, edges repeated: views of one padded copy."""
    h, w = maps.shape[-2:]
    reach = max(dilations)
    padded = F.pad(maps, (reach, reach, reach, reach), mode="replicate")
    for dilation in dilations:
        for dy, dx in DIRECTIONS:
            top, left = reach + dy * dilation, reach + dx * dilation
            yield padded[..., top : top + h, left : left + w]
