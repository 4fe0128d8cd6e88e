"""Multi-scale class activation maps (section 2 of docs/method.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from tagseg.model.network import Network, evaluating


@dataclass(frozen=True)
class CamClasses:
    """The n classes of each image whose maps are computed: all K, or a selection that holds the present ones.

    Attributes:
        index: (B, n) int64, indices of the classes, 0 to K-1.
        tags: (B, n) float, 1 where the image has the class, else 0.
    """

    index: Tensor
    tags: Tensor

    def gather(self, maps: Float[Tensor, "B K _H _W"]) -> Float[Tensor, "B n _H _W"]:
        """The maps of these classes among those of all K."""
        return maps.gather(1, self.index[:, :, None, None].expand(-1, -1, *maps.shape[2:]))

    def class_label(self, label: Int64[Tensor, "B H W"]) -> Int64[Tensor, "B H W"]:
        """Labels 1 to n by position → labels 1 to K by class; background and ignored pixels (255) stay."""
        names = torch.arange(256, device=label.device).repeat(len(label), 1)
        names[:, 1 : self.index.shape[1] + 1] = self.index + 1
        return names.gather(1, label.flatten(1)).view_as(label)


@dataclass
class Cams:
    """Normalised class activation maps of B images.

    Attributes:
        final: (B, n, H, W) in [0, 1], of the final classifier.
        auxiliary: (B, n, H, W) in [0, 1], of the auxiliary classifier.
    """

    final: Tensor
    auxiliary: Tensor


@runtime_checkable
class ChooseClasses(Protocol):
    """From the tags of a batch to the classes whose maps are computed."""

    def __call__(self, tags: Float[Tensor, "B K"], most: int = 0) -> CamClasses:
        """``most``: the highest number of tags of an image, if it is known."""
        ...


def all_classes(tags: Float[Tensor, "B K"], most: int = 0) -> CamClasses:
    """All K classes of each image, however many of them one has at most."""
    return CamClasses(torch.arange(tags.shape[1], device=tags.device).expand(tags.shape), tags)


@torch.no_grad()
def multi_scale_cam(
    network: Network, images: Float[Tensor, "B 3 H W"], scales: Sequence[float], classes: CamClasses
) -> Cams:
    """CAMs at the images' size: maximum of image and mirror image, summed over scales, then normalised.

    No gradient, no drop path.

    Args:
        network: student or teacher.
        images: normalised.
        scales: factors of the images' size, rounded to multiples of the patch size.
        classes: whose maps are wanted.
    """
    size = images.shape[-2], images.shape[-1]
    final, auxiliary = [], []
    with evaluating(network):
        for scale in scales:
            scaled = F.interpolate(
                images, scaled_size(size, scale, network.patch_size), mode="bilinear", align_corners=False
            )
            cam, auxiliary_cam = network.cams(torch.cat([scaled, scaled.flip(-1)]))
            final.append(merge_mirror(cam, size))
            auxiliary.append(merge_mirror(auxiliary_cam, size))
    return Cams(*(classes.gather(normalise(torch.stack(maps).sum(dim=0))) for maps in (final, auxiliary)))


def auxiliary_cam(
    network: Network, images: Float[Tensor, "B 3 H W"], scales: Sequence[float], classes: CamClasses
) -> Float[Tensor, "B n H W"]:
    """The auxiliary map of ``multi_scale_cam`` alone."""
    return multi_scale_cam(network, images, scales, classes).auxiliary


def scaled_size(size: tuple[int, int], scale: float, patch: int) -> tuple[int, int]:
    """Height and width times a scale, rounded to multiples of the patch size, at least one patch."""
    height, width = size
    return max(1, round(height * scale / patch)) * patch, max(1, round(width * scale / patch)) * patch


def merge_mirror(maps: Float[Tensor, "B2 n h w"], size: tuple[int, int]) -> Float[Tensor, "B n H W"]:
    """Upsample; the maximum of an image's maps (first half) and of its mirror image's (second half), mirrored back."""
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
    image, mirror = F.interpolate(maps, size, mode="bilinear", align_corners=False).chunk(2)
    return torch.maximum(image, mirror.flip(-1))


def normalise(cam: Float[Tensor, "B n H W"]) -> Float[Tensor, "B n H W"]:
    """Per image and class: subtract the minimum, divide by (maximum + 1e-5)."""
    cam = cam - cam.amin(dim=(2, 3), keepdim=True)
    return cam / (cam.amax(dim=(2, 3), keepdim=True) + 1e-5)
