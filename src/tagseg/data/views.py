"""Image → two random views and optional local crops (section 5 of docs/method.md)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from tagseg.data.augmentation import Augmentation, AugmentationSampler, apply_augmentation
from tagseg.data.config import ViewConfig
from tagseg.data.seeds import seeded

REDUCTIONS = (8, 4, 2)
"""Factors by which a JPEG decoder can reduce an image, largest first."""


@dataclass(frozen=True)
class Box:
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def reduced(self, by: int) -> Box:
        """The same rectangle in the image reduced by an integer factor.

        Edges are rounded to whole pixels, so none moves by more than half a pixel of the reduced image.
        """
        top, left = _nearest(self.top, by), _nearest(self.left, by)
        bottom, right = _nearest(self.top + self.height, by), _nearest(self.left + self.width, by)
        return Box(top, left, bottom - top, right - left)


def _nearest(edge: int, by: int) -> int:
    return (edge + by // 2) // by


@dataclass(frozen=True)
class ViewParameters:
    """One view of an image: the crop, the side in pixels that it is resized to, and its augmentation."""

    box: Box
    side: int
    augmentation: Augmentation


class ViewSampler:
    """Samples the views of an image; the same keys give the same views.

    Views are 8-bit: they are normalised on the device of the network, and PAR and the dense energy need 8-bit images.
    """

    def __init__(self, config: ViewConfig) -> None:
        self.config = config
        self.view = v2.RandomResizedCrop(config.size, config.scale)
        self.local = v2.RandomResizedCrop(config.local_size, config.local_scale)
        self.augmentations = AugmentationSampler(config)

    def __call__(
        self, image: UInt8[Tensor, "3 H W"], *keys: int
    ) -> tuple[UInt8[Tensor, "3 S S"], UInt8[Tensor, "3 S S"], UInt8[Tensor, "L 3 s s"]]:
        """Two views of side S and L local crops of side s, each augmented.

        Args:
            image: 0 to 255.
            keys: e.g. (seed, epoch, sample index).
        """
        draws = self.draw((image.shape[1], image.shape[2]), *keys)
        return self.stack([apply_augmentation(crop(image, draw), draw.augmentation) for draw in draws])

    def draw(self, size: tuple[int, int], *keys: int) -> list[ViewParameters]:
        """Parameters of the two views, then of the L local crops, for an image of this height and width."""
        transforms = [self.view, self.view] + [self.local] * self.config.local_crops
        image = torch.empty((3, *size), dtype=torch.uint8, device="meta")  # torchvision reads its size alone
        with seeded(*keys):
            return [
                ViewParameters(Box(**transform.make_params([image])), transform.size[0], self.augmentations.draw())
                for transform in transforms
            ]

    def stack(
        self, views: list[Tensor]
    ) -> tuple[UInt8[Tensor, "3 S S"], UInt8[Tensor, "3 S S"], UInt8[Tensor, "L 3 s s"]]:
        """From the list of an image's views: view 1, view 2, and the local crops as one tensor."""
        first, second, *local = views
        side = self.config.local_size
        return first, second, torch.stack(local) if local else first.new_zeros((0, 3, side, side))


def reduction(draws: list[ViewParameters]) -> int:
    """The largest factor (1, 2, 4 or 8) by which an image can be reduced without upsampling any of its views."""
    for by in REDUCTIONS:
        boxes = [(draw.box.reduced(by), draw.side) for draw in draws]
        if all(min(box.height, box.width) >= side for box, side in boxes):
            return by
    return 1


def crop_label(mask: UInt8[Tensor, "H W"], draw: ViewParameters) -> UInt8[Tensor, "S S"]:
    """The label map of a view: cropped, resized with nearest pixels and flipped as the view is."""
    box = draw.box
    part = mask[None, box.top : box.top + box.height, box.left : box.left + box.width]
    part = F.resize(part, [draw.side, draw.side], InterpolationMode.NEAREST_EXACT)
    return (part.flip(-1) if draw.augmentation.flip else part)[0].contiguous()


def crop(image: UInt8[Tensor, "3 H W"], draw: ViewParameters, reduced: int = 1) -> UInt8[Tensor, "3 S S"]:
    """The crop of a view at the view's side, not yet augmented; the sides of the image were divided by ``reduced``."""
    box = draw.box.reduced(reduced)
    part = image[:, box.top : box.top + box.height, box.left : box.left + box.width]
    # contiguous, so that a later mean sums in the same order for any memory layout of the image
    return F.resize(part, [draw.side, draw.side], InterpolationMode.BICUBIC, antialias=True).contiguous()
