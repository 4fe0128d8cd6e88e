"""The network's logits of a photo at each scale, of the photo and of its mirror image apart.

Prediction adds both before it looks at them; how far they agree tells how sure the network is, at no further cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from tagseg.inference.multi_scale import MultiScale
from tagseg.inference.precision import computing
from tagseg.inference.segment import resize, to_input
from tagseg.model.network import Network


@dataclass(frozen=True)
class Views:
    """A photo as the network sees it.

    Attributes:
        size: height and width of the photo in pixels.
        grids: of each scale the logits on its patch grid, (V, C, h, w): of the photo and, where V is 2, of its mirror
            image, mirrored back.
        tags: (K,) probability that the photo shows a class, predicted for the photo as a whole; mean of all views.
    """

    size: tuple[int, int]
    grids: tuple[Tensor, ...]
    tags: Tensor

    def upsampled(self, size: tuple[int, int]) -> list[Float[Tensor, "V C H W"]]:
        """The logits of each scale at a size in pixels."""
        return [F.interpolate(grid, size, mode="bilinear", align_corners=False) for grid in self.grids]


@torch.inference_mode()
def photo_views(network: Network, photos: Sequence[UInt8[ndarray, "_H _W 3"]], multi_scale: MultiScale) -> list[Views]:
    """Run the network on a batch of photos with equal input sizes; float32.

    Args:
        network: in evaluation mode.
        photos: RGB.
        multi_scale: scales, input size, precision, and whether there are mirror images.
    """
    inputs = [to_input(network, photo) for photo in photos]
    sizes = multi_scale.sizes(inputs[0].shape[2], inputs[0].shape[3], network.patch_size)
    grids: list[list[Tensor]] = [[] for _ in photos]
    tags: list[Tensor] = []
    for size in sizes:
        views = torch.cat([resize(image, size) for image in inputs])
        both = torch.stack([views, views.flip(-1)], dim=1) if multi_scale.mirror else views[:, None]
        with computing(network, multi_scale.precision):
            logits, found = _run(network, both.flatten(0, 1))
        logits = logits.float().unflatten(0, both.shape[:2])
        if multi_scale.mirror:
            logits = torch.stack([logits[:, 0], logits[:, 1].flip(-1)], dim=1)
        tags.append(found.float().unflatten(0, both.shape[:2]))
        for own, grid in zip(grids, logits, strict=True):
            own.append(grid)
    means = torch.cat(tags, dim=1).mean(dim=1)
    return [
        Views((photo.shape[0], photo.shape[1]), tuple(own), mean)
        for photo, own, mean in zip(photos, grids, means, strict=True)
    ]


def _run(network: Network, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B C h w"], Float[Tensor, "B K"]]:
    """Logits of patches, and the probability that an image shows a class: of the tag prior, else of the classifier."""
    features = network.encoder(images)
    if network.tag_prior is None:
        return network.segment(features), network.classify(features)[0].sigmoid()
    means = torch.cat([features.patches, features.auxiliary], dim=1).mean(dim=(2, 3))
    return network.segment(features), torch.exp(F.logsigmoid(network.tag_prior.classifier(means)))
