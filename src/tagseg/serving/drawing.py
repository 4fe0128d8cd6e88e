"""The mask of a photo from its cached features, by a network that is told the photo's tags: no encoder pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from tagseg.frozen.features import FrozenFeatures
from tagseg.labelling.scores import told_the_tags
from tagseg.model.network import Network

VALUES_AT_ONCE = 1 << 24
"""Upsampled scores in memory at a time: 64 MB."""


@dataclass(frozen=True)
class Drawing:
    """Draws masks; safe in threads, as nothing of it changes.

    Attributes:
        network: in evaluation mode, with the decoder ``conv``.
        features: of all photos.
    """

    network: Network
    features: FrozenFeatures

    @torch.inference_mode()
    def scores(self, index: int, labels: tuple[int, ...]) -> Float[Tensor, "L h w"]:
        """Scores of a photo's own labels on the patch grid: of the photo and of its mirror image.

        Args:
            index: of the photo.
            labels: background, 0, and the photo's tags, k+1.
        """
        maps = self.features.read([index]).float()
        both = self.network.decoder(torch.cat([maps, maps.flip(-1)]))  # without the tag prior, as the tags are known
        return told_the_tags(both[0] + both[1].flip(-1), labels)

    def mask(self, index: int, labels: tuple[int, ...], size: tuple[int, int]) -> UInt8[ndarray, "H W"]:
        """The mask of a photo at a size: of its own labels the likeliest; only background where it has no tag."""
        if len(labels) == 1:
            return np.zeros(size, np.uint8)
        places = likeliest(self.scores(index, labels), size)
        return np.array(labels, np.uint8)[places]


@torch.inference_mode()
def likeliest(scores: Float[Tensor, "L h w"], size: tuple[int, int]) -> UInt8[ndarray, "H W"]:
    """The place of the highest score at each pixel, bilinear; some rows at a time, so that memory is bounded."""
    height, width = size
    down, across = (_interpolation(old, new) for old, new in zip(scores.shape[1:], size, strict=True))
    wide = scores @ across.T  # (L, h, W)
    labels = np.empty(size, np.uint8)
    step = max(1, VALUES_AT_ONCE // (len(scores) * width))
    for first in range(0, height, step):
        rows = down[first : first + step] @ wide
        labels[first : first + step] = rows.max(dim=0).indices.to(torch.uint8).numpy()  # argmax takes longer
    return labels


def _interpolation(old: int, new: int) -> Float[Tensor, "new old"]:
    """The matrix that interpolates along one side, as ``F.interpolate`` does it with ``align_corners=False``."""
    return F.interpolate(torch.eye(old)[None], size=new, mode="linear", align_corners=False)[0].T
