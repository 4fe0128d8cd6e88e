"""Image → two random views and, if wanted, small local crops (METHOD §5.1): drawn first, then cut out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from tagseg.config import ViewConfig
from tagseg.data.looks import Look, LookDraws, apply_look
from tagseg.data.seeds import seeded

REDUCTIONS = (8, 4, 2)
"""What a JPEG decoder can divide an image's sides by, most first."""


@dataclass(frozen=True)
class Box:
    """Part of an image, in its pixels."""

    top: int
    left: int
    height: int
    width: int

    def reduced(self, by: int) -> Box:
        """The same part of the image divided by an integer.

        Each edge goes to the nearest pixel's edge, so none moves by more than half a pixel of the reduced image.
        """
        top, left = _nearest(self.top, by), _nearest(self.left, by)
        bottom, right = _nearest(self.top + self.height, by), _nearest(self.left + self.width, by)
        return Box(top, left, bottom - top, right - left)


def _nearest(edge: int, by: int) -> int:
    return (edge + by // 2) // by


@dataclass(frozen=True)
class ViewDraw:
    """One view of an image: which part of it, resized to which side in pixels, and how that looks."""

    box: Box
    side: int
    look: Look


class Views:
    """Draws the views of an image; the same keys give the same views.

    Views stay 8-bit: the network normalises them on its device, and PAR and the dense energy need the 8-bit image.
    """

    def __init__(self, config: ViewConfig) -> None:
        self.config = config
        self.view = v2.RandomResizedCrop(config.size, config.scale)
        self.local = v2.RandomResizedCrop(config.local_size, config.local_scale)
        self.looks = LookDraws(config)

    def __call__(
        self, image: UInt8[Tensor, "3 H W"], *keys: int
    ) -> tuple[UInt8[Tensor, "3 S S"], UInt8[Tensor, "3 S S"], UInt8[Tensor, "L 3 s s"]]:
        """Two views of side S and L local crops of side s, each with its look.

        Args:
            image: 0 to 255.
            keys: e.g. (seed, epoch, sample index).
        """
        draws = self.draw((image.shape[1], image.shape[2]), *keys)
        return self.stack([apply_look(cut(image, draw), draw.look) for draw in draws])

    def draw(self, size: tuple[int, int], *keys: int) -> list[ViewDraw]:
        """What the two views and then the L local crops are, for an image of this height and width."""
        transforms = [self.view, self.view] + [self.local] * self.config.local_crops
        image = torch.empty((3, *size), dtype=torch.uint8, device="meta")  # torchvision asks it for its size only
        with seeded(*keys):
            return [
                ViewDraw(Box(**transform.make_params([image])), transform.size[0], self.looks.draw())
                for transform in transforms
            ]

    def stack(
        self, views: list[Tensor]
    ) -> tuple[UInt8[Tensor, "3 S S"], UInt8[Tensor, "3 S S"], UInt8[Tensor, "L 3 s s"]]:
        """The views of one image in the order of its draws, the local crops as one tensor."""
        first, second, *local = views
        side = self.config.local_size
        return first, second, torch.stack(local) if local else first.new_zeros((0, 3, side, side))


def reduction(draws: list[ViewDraw]) -> int:
    """By how much an image may be divided (1, 2, 4 or 8) such that no view of it has to be enlarged for that."""
    for by in REDUCTIONS:
        boxes = [(draw.box.reduced(by), draw.side) for draw in draws]
        if all(min(box.height, box.width) >= side for box, side in boxes):
            return by
    return 1


def cut_mask(mask: UInt8[Tensor, "H W"], draw: ViewDraw) -> UInt8[Tensor, "S S"]:
    """The drawn part of a whole image's mask, at the view's side and mirrored where the view is; no label is mixed."""
    box = draw.box
    part = mask[None, box.top : box.top + box.height, box.left : box.left + box.width]
    part = F.resize(part, [draw.side, draw.side], InterpolationMode.NEAREST_EXACT)
    return (part.flip(-1) if draw.look.flip else part)[0].contiguous()


def cut(image: UInt8[Tensor, "3 H W"], draw: ViewDraw, reduced: int = 1) -> UInt8[Tensor, "3 S S"]:
    """The drawn part of an image whose sides were divided by ``reduced``, at the view's side, yet without its look."""
    box = draw.box.reduced(reduced)
    part = image[:, box.top : box.top + box.height, box.left : box.left + box.width]
    # contiguous: a later mean sums in the same order whatever the layout of the image
    return F.resize(part, [draw.side, draw.side], InterpolationMode.BICUBIC, antialias=True).contiguous()
