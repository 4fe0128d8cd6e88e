"""The classes that are present in each image: a few of the K, so work on their maps alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


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

    def _index(self, maps: Tensor) -> Tensor:
        return self.classes[:, :, None, None].expand(-1, -1, *maps.shape[2:])


def present_classes(tags: Float[Tensor, "B K"]) -> Present:
    """Which classes each image has, from tags of 0 and 1."""
    count = max(1, int(tags.sum(dim=1).max()))
    classes = tags.argsort(dim=1, descending=True, stable=True)[:, :count]
    return Present(classes, torch.gather(tags, 1, classes) > 0)
