"""Labels of training photos after the dense CRF, which moves them to the edges of the photo (``labels.crf``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.images import read_image
from tagseg.pairwise.config import PUBLISHED_CRF

SHARPNESS = 4.0
"""Scores of the labels times this are logits for the CRF; chosen on masks of a ``train`` split."""
PIXELS = 16
"""Pixels to a patch, along each side, that the CRF sees: about those that the encoder saw."""


def labels_after_crf(
    planes: Float[Tensor, "B C h w"],
    tags: Float[Tensor, "B K"],
    photos: Sequence[Path],
    size: tuple[int, int],
) -> UInt8[Tensor, "B H W"]:
    """The labels of some photos by the published dense CRF on background and each photo's own classes.

    Args:
        planes: finite scores of background and classes.
        tags: 0 and 1, of the same photos.
        photos: their files, which are read.
        size: H and W of the labels.

    Raises:
        TagsegError: a photo that cannot be read.
    """
    from tagseg.fast.dense_crf import crf_labels  # a training without it loads nothing fast

    seen = (PIXELS * planes.shape[-2], PIXELS * planes.shape[-1])
    own = [torch.cat([torch.zeros(1, dtype=torch.long), row.nonzero()[:, 0] + 1]) for row in tags]
    maps = [probabilities(scores[labels], seen) for scores, labels in zip(planes, own, strict=True)]
    found = crf_labels(maps, [resized(read_image(photo), seen) for photo in photos], PUBLISHED_CRF)
    full = torch.stack([labels[torch.from_numpy(one).long()] for labels, one in zip(own, found, strict=True)])
    return F.interpolate(full[:, None].float(), size, mode="nearest-exact")[:, 0].to(torch.uint8)


def probabilities(planes: Float[Tensor, "C h w"], size: tuple[int, int]) -> Float[Tensor, "C H W"]:
    """The softmax of scores, enlarged."""
    full = F.interpolate(SHARPNESS * planes[None], size, mode="bilinear", align_corners=False)
    return full.softmax(dim=1)[0]


def resized(photo: UInt8[ndarray, "_H _W 3"], size: tuple[int, int]) -> UInt8[ndarray, "H W 3"]:
    """A photo at another size."""
    pixels = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float()
    small = F.interpolate(pixels, size, mode="bilinear", antialias=True, align_corners=False)[0]
    return small.clamp(0, 255).round().byte().permute(1, 2, 0).contiguous().numpy()
