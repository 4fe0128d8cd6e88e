"""Segmentation logits of photos at several scales (section 9 of docs/method.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from tagseg.inference.precision import Precision, check_precision
from tagseg.inference.segment import Sizing, batch_logits, check_scales, to_input
from tagseg.model.network import Network


@dataclass(frozen=True)
class PhotoLogits:
    """A photo and its segmentation logits.

    Attributes:
        photo: uint8 (H, W, 3).
        grids: logits of each scale on its patch grid, float32 (C, h, w) on the network's device.
    """

    photo: UInt8[ndarray, "H W 3"]
    grids: list[Tensor]

    @property
    def size(self) -> tuple[int, int]:
        """H and W of the photo in pixels."""
        return self.photo.shape[0], self.photo.shape[1]


@dataclass(frozen=True)
class MultiScale:
    """Scales, input size and precision of the network; the attributes are arguments of ``predict``.

    Raises:
        TagsegError: scales that are not positive, or an unknown precision.
    """

    scales: tuple[float, ...]
    mirror: bool
    sizing: Sizing
    precision: Precision = "32"

    def __post_init__(self) -> None:
        check_scales(self.scales)
        check_precision(self.precision)

    def sizes(self, height: int, width: int, patch: int) -> tuple[tuple[int, int], ...]:
        """Height and width in pixels of a photo's network input at each scale."""
        return tuple(self.sizing.at(height, width, scale, patch) for scale in self.scales)

    def logits(self, network: Network, photos: Sequence[UInt8[ndarray, "_H _W 3"]]) -> list[PhotoLogits]:
        """Run the network on a batch of photos with equal ``sizes``."""
        inputs = (to_input(network, photo) for photo in photos)
        grids = batch_logits(network, inputs, self.scales, self.mirror, self.sizing, self.precision)
        return [PhotoLogits(photo, own) for photo, own in zip(photos, grids, strict=True)]
