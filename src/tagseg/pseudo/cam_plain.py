"""Multi-scale class activation maps as METHOD §2 says it, one scale after the other: what ``cam`` is tested against."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from tagseg.model.network import Network
from tagseg.pseudo.cam import Cams, evaluating, normalise


@torch.no_grad()
def plain_multi_scale_cam(network: Network, images: Float[Tensor, "B 3 H W"], scales: Sequence[float]) -> Cams:
    """Final and auxiliary CAMs of all classes; arguments as of ``multi_scale_cam``."""
    height, width = images.shape[-2:]
    patch = network.patch_size
    finals, auxiliaries = [], []
    with evaluating(network):
        for scale in scales:
            size = max(1, round(height * scale / patch)) * patch, max(1, round(width * scale / patch)) * patch
            scaled = images
            if size != (height, width):
                scaled = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
            final, auxiliary = network.cams(torch.cat([scaled, scaled.flip(-1)]))
            finals.append(_merge(final, (height, width)))
            auxiliaries.append(_merge(auxiliary, (height, width)))
    return Cams(normalise(sum(finals[1:], finals[0])), normalise(sum(auxiliaries[1:], auxiliaries[0])))


def _merge(maps: Float[Tensor, "B2 K h w"], size: tuple[int, int]) -> Float[Tensor, "B K H W"]:
    """Upsample; the maximum of an image's maps and its mirror's, mirrored back."""
    image, mirror = F.interpolate(maps.float(), size=size, mode="bilinear", align_corners=False).chunk(2)
    return torch.maximum(image, mirror.flip(-1))
