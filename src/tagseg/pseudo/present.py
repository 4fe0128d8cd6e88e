"""The classes that are present in each image: a few of the K, so work on their maps alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tagseg.data.dataset import IGNORE


@dataclass
class Present:
    """The present classes of B images, side by side.

    Attributes:
        classes: (B, n) int64 class indices, ascending, those of absent classes last; n is the highest count of tags in
            the batch, at least 1.
        real: (B, n) bool, False where an image has fewer than n tags.
    """

    classes: Tensor
    real: Tensor

    def gather(self, maps: Float[Tensor, "B K _H _W"]) -> Float[Tensor, "B n _H _W"]:
        """The maps of the present classes; where ``real`` is False, of an absent one."""
        return maps.gather(1, self._index(maps))

    def scatter(self, maps: Float[Tensor, "B n _H _W"], count: int) -> Float[Tensor, "B K _H _W"]:
        """Back to all K = ``count`` classes; absent ones are 0."""
        full = maps.new_zeros((len(maps), count, *maps.shape[2:]))
        return full.scatter_(1, self._index(maps), maps * self.real[:, :, None, None])

    @property
    def tags(self) -> Float[Tensor, "B n"]:
        """Tags of the present classes alone, as if there were no others: 1, and 0 where ``real`` is False."""
        return self.real.float()

    def named(self, label: Int64[Tensor, "B H W"]) -> Int64[Tensor, "B H W"]:
        """Labels 1 to n of the present classes → labels 1 to K of all; background and ignored pixels stay."""
        names = torch.arange(IGNORE + 1, device=label.device).repeat(len(label), 1)
        names[:, 1 : self.classes.shape[1] + 1] = self.classes + 1
        return names.gather(1, label.flatten(1)).view_as(label)

    def _index(self, maps: Tensor) -> Tensor:
        return self.classes[:, :, None, None].expand(-1, -1, *maps.shape[2:])


def present_classes(tags: Float[Tensor, "B K"]) -> Present:
    """Which classes each image has, from tags of 0 and 1."""
    count = max(1, int(tags.sum(dim=1).max()))
    classes = tags.argsort(dim=1, descending=True, stable=True)[:, :count]
    return Present(classes, torch.gather(tags, 1, classes) > 0)
