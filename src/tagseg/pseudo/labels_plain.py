"""Pseudo-labels as METHOD §6 says them, one image and one background after the other: to compare ``labels``."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from tagseg.config import LabelConfig
from tagseg.data.dataset import IGNORE
from tagseg.pseudo.refine_plain import plain_refine


@torch.no_grad()
def plain_refined_label(
    image: Float[Tensor, "B 3 H W"], cam: Float[Tensor, "B K H W"], tags: Float[Tensor, "B K"], config: LabelConfig
) -> Int64[Tensor, "B H W"]:
    """Pseudo-labels of PAR-refined CAMs; arguments as of ``refined_label``."""
    return torch.cat([_of_one(*one, config) for one in zip(image.split(1), cam.split(1), tags.split(1), strict=True)])


def _of_one(image: Tensor, cam: Tensor, tags: Tensor, config: LabelConfig) -> Int64[Tensor, "1 H W"]:
    size = cam.shape[-2:]
    half = tuple(max(1, side // 2) for side in size)
    small = F.interpolate(image, size=half, mode="bilinear", align_corners=False)
    present = tags[0].nonzero().flatten()
    labels = torch.cat([present.new_zeros(1), present + 1])
    results = []
    for background in (config.high, config.low):
        planes = torch.cat([torch.full_like(cam[:, :1], background), cam[:, present]], dim=1)
        planes = F.interpolate(planes, size=half, mode="bilinear", align_corners=False).softmax(dim=1)
        refined = plain_refine(small, planes, config)
        refined = F.interpolate(refined, size=size, mode="bilinear", align_corners=False)
        results.append(labels[refined.argmax(dim=1)])
    strict, lenient = results
    label = strict.clone()
    label[strict == 0] = IGNORE
    label[(strict == 0) & (lenient == 0)] = 0
    return label
