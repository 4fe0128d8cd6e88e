"""Equals ``fsr.cam.all_classes`` in all that a step computes: only the present classes, a few of the K."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tagseg.fsr.cam import CamClasses


def present_classes(tags: Float[Tensor, "B K"], most: int = 0) -> CamClasses:
    """The present classes of each image, ascending, then absent ones up to n.

    n is ``most``, the highest count of tags in the batch, at least 1. Where it is not given it is read, for which the
    host has to wait for a GPU.
    """
    count = most or max(1, int(tags.sum(dim=1).max()))
    index = tags.argsort(dim=1, descending=True, stable=True)[:, :count]
    return CamClasses(index, torch.gather(tags, 1, index))


def to_all_classes(maps: Float[Tensor, "B n _H _W"], classes: CamClasses, count: int) -> Float[Tensor, "B K _H _W"]:
    """Maps of some classes as maps of all K = ``count`` classes; absent ones are 0."""
    full = maps.new_zeros((len(maps), count, *maps.shape[2:]))
    place = classes.index[:, :, None, None].expand(-1, -1, *maps.shape[2:])
    return full.scatter_(1, place, maps * classes.tags[:, :, None, None])
