"""One photo through the network at every scale, and label maps from that: the argmax, or a dense CRF's (METHOD §9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from tagseg.config import CrfConfig
from tagseg.inference.segment import Sizing, label_map, merge_scales, scale_logits, to_input
from tagseg.model.network import Network
from tagseg.pairwise.crf import crf_labels, crf_marginals

T = TypeVar("T")


@dataclass(frozen=True)
class Look:
    """What the network saw in a photo.

    Attributes:
        photo: uint8 (H, W, 3).
        grids: segmentation logits of each scale on its own patch grid, float32 (C, h, w) on the network's device.
    """

    photo: UInt8[ndarray, "H W 3"]
    grids: list[Tensor]

    @property
    def size(self) -> tuple[int, int]:
        """H and W of the photo in pixels."""
        return self.photo.shape[0], self.photo.shape[1]

    def probabilities(self, size: tuple[int, int] | None = None) -> Float[Tensor, "C H W"]:
        """Softmax of the merged logits, at the photo's size or another."""
        return merge_scales(self.grids, size or self.size).softmax(dim=0)

    def labels(self) -> UInt8[ndarray, "H W"]:
        """Each pixel's class, without a CRF."""
        return label_map(self.grids, self.size)


def look(
    network: Network, photo: UInt8[ndarray, "H W 3"], scales: tuple[float, ...], mirror: bool, sizing: Sizing
) -> Look:
    """Run the network over a photo; arguments as in ``scale_logits``."""
    return Look(photo, scale_logits(network, to_input(network, photo), scales, mirror, sizing))


def crf_label_maps(looks: Sequence[Look], sizing: Sizing, config: CrfConfig) -> list[UInt8[ndarray, "_H _W"]]:
    """Label maps after a dense CRF, as large as the photos.

    The CRF sees each photo at its native size, or shrunk to ``sizing.max_side`` as the network does; its marginals are
    then enlarged. On a CPU every core takes a photo.

    Raises:
        TagsegError: see ``dense_crf``.
    """
    sizes = [sizing.within(*seen.size) for seen in looks]
    planes = [seen.probabilities(size) for seen, size in zip(looks, sizes, strict=True)]
    photos = [_shrunk(seen.photo, size) for seen, size in zip(looks, sizes, strict=True)]
    if all(size == seen.size for seen, size in zip(looks, sizes, strict=True)):
        return crf_labels(planes, photos, config)
    marginals = crf_marginals(planes, photos, config)
    return [label_map([found], seen.size) for found, seen in zip(marginals, looks, strict=True)]


def photos_at_once(network: Network, crf: bool) -> int:
    """How many photos to look at before their label maps are made: a CRF on the CPU takes one a core."""
    device = next(network.parameters()).device.type
    return torch.get_num_threads() if crf and device == "cpu" else 1


def in_parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in order, ``size`` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _shrunk(photo: UInt8[ndarray, "H W 3"], size: tuple[int, int]) -> UInt8[ndarray, "h w 3"]:
    if photo.shape[:2] == size:
        return photo
    return np.array(Image.fromarray(photo).resize((size[1], size[0]), Image.Resampling.BILINEAR))
