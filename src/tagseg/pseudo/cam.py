"""Multi-scale class activation maps (METHOD §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.model.network import Network
from tagseg.pseudo.present import Present, present_classes


@dataclass
class Cams:
    """Normalised class activation maps of B images.

    Attributes:
        final: (B, K, H, W) in [0, 1], of the final map.
        auxiliary: (B, K, H, W) in [0, 1], of the auxiliary map.
    """

    final: Tensor
    auxiliary: Tensor


def multi_scale_cam(
    network: Network,
    images: Float[Tensor, "B 3 H W"],
    scales: Sequence[float],
    tags: Float[Tensor, "B K"] | None = None,
) -> Cams:
    """CAMs of normalised images: maximum of image and mirror, summed over scales, then normalised (METHOD §2).

    Sizes are rounded to multiples of the patch. No gradient, no stochastic depth.

    Args:
        network: whose CAMs.
        images: normalised.
        scales: factors of the images' size.
        tags: 0 or 1; if given, only present classes are computed and absent ones are 0, at a fraction of the cost.
    """
    return Cams(*_sum_over_scales(network, images, scales, tags, network.cams))


def multi_scale_aux_cam(
    network: Network,
    images: Float[Tensor, "B 3 H W"],
    scales: Sequence[float],
    tags: Float[Tensor, "B K"] | None = None,
) -> Float[Tensor, "B K H W"]:
    """Only the auxiliary CAM, for the partition of view 2: runs no layer behind the auxiliary one."""
    (auxiliary,) = _sum_over_scales(network, images, scales, tags, lambda x: (network.aux_cam(x),))
    return auxiliary


def normalise(cam: Float[Tensor, "B K H W"]) -> Float[Tensor, "B K H W"]:
    """Per image and class: subtract the minimum, divide by (maximum + 1e-5)."""
    cam = cam - cam.amin(dim=(2, 3), keepdim=True)
    return cam / (cam.amax(dim=(2, 3), keepdim=True) + 1e-5)


@torch.no_grad()
def _sum_over_scales(
    network: Network,
    images: Tensor,
    scales: Sequence[float],
    tags: Tensor | None,
    maps_of: Callable[[Tensor], tuple[Tensor, ...]],
) -> list[Tensor]:
    """Normalised sum over scales of each map that ``maps_of`` returns, (B, K, H, W)."""
    size = images.shape[-2:]
    present = None if tags is None else present_classes(tags)
    both = None if present is None else Present(present.classes.repeat(2, 1), present.real.repeat(2, 1))
    sums: list[Tensor] = []
    with evaluating(network):
        for scale in scales:
            target = tuple(max(1, round(side * scale / network.patch_size)) * network.patch_size for side in size)
            scaled = images
            if target != tuple(size):
                scaled = F.interpolate(images, size=target, mode="bilinear", align_corners=False)
            maps = maps_of(torch.cat([scaled, scaled.flip(-1)]))
            if both is not None:
                maps = tuple(both.gather(m) for m in maps)
            merged = [_merge_mirror(m, size) for m in maps]
            sums = [a + b for a, b in zip(sums, merged, strict=True)] if sums else merged
    normalised = [normalise(m) for m in sums]
    return normalised if present is None else [present.scatter(m, len(network.classes)) for m in normalised]


def _merge_mirror(maps: Float[Tensor, "B2 K h w"], size: torch.Size) -> Float[Tensor, "B K H W"]:
    """Upsample, mirror the second half back, take the maximum of both halves."""
    image, mirror = F.interpolate(maps.float(), size=size, mode="bilinear", align_corners=False).chunk(2)
    return torch.maximum(image, mirror.flip(-1))


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Switch stochastic depth off, and back on afterwards where it was on."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
