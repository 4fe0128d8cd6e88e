"""Pseudo-labels from CAMs (section 6 of docs/method.md).

Labels are positions among the n classes whose maps are given: 0 background, 1 to n foreground, 255 ignored.
``CamClasses.class_label`` turns them into labels of all K classes.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE
from tagseg.fsr.config import LabelConfig
from tagseg.fsr.par import refine


def cam_to_label(
    cam: Float[Tensor, "B n H W"], tags: Float[Tensor, "B n"], high: float, low: float
) -> Int64[Tensor, "B H W"]:
    """Highest present class where its CAM is above ``high``; background at or below ``low``; between: ignored."""
    value, index = (cam * tags[:, :, None, None]).max(dim=1)
    label = index + 1
    label[value <= high] = IGNORE
    label[value <= low] = 0
    return label


def cam_to_score(
    cam: Float[Tensor, "B n H W"], tags: Float[Tensor, "B n"], background_threshold: float
) -> Int64[Tensor, "B H W"]:
    """A CAM as a label map for scoring: background at or below the threshold, nothing ignored."""
    return cam_to_label(cam, tags, background_threshold, background_threshold)


@torch.no_grad()
def pseudo_label(
    image: Float[Tensor, "B 3 H W"], cam: Float[Tensor, "B n H W"], tags: Float[Tensor, "B n"], config: LabelConfig
) -> Int64[Tensor, "B H W"]:
    """Pseudo-label of a view: of PAR-refined CAMs, or by thresholds alone where refinement is off.

    Args:
        image: in [0, 1].
        cam: normalised final CAM in [0, 1].
        tags: 0 or 1; an image without tags is all background.
        config: thresholds and PAR's settings.
    """
    if not config.refine:
        return cam_to_label(cam, tags, config.high, config.low)
    images = zip(image.split(1), cam.split(1), tags, strict=True)
    return torch.cat([_refined_label(one, maps, present, config) for one, maps, present in images])


def _refined_label(
    image: Float[Tensor, "1 3 H W"], cam: Float[Tensor, "1 n H W"], tags: Float[Tensor, " n"], config: LabelConfig
) -> Int64[Tensor, "1 H W"]:
    """One image: PAR once with a strict and once with a lenient background.

    The label is the strict result where that is foreground, 0 where both results are background, else ignored.
    """
    size = cam.shape[-2:]
    half = [max(1, side // 2) for side in size]
    small = F.interpolate(image, half, mode="bilinear", align_corners=False)
    present = tags.nonzero().flatten()
    labels = torch.cat([present.new_zeros(1), present + 1])
    results = []
    for background in (config.high, config.low):
        planes = torch.cat([torch.full_like(cam[:, :1], background), cam[:, present]], dim=1)
        planes = F.interpolate(planes, half, mode="bilinear", align_corners=False).softmax(dim=1)
        refined = F.interpolate(refine(small, planes, config), size, mode="bilinear", align_corners=False)
        results.append(labels[refined.argmax(dim=1)])
    return agreement(*results)


def agreement(strict: Int64[Tensor, "B H W"], lenient: Int64[Tensor, "B H W"]) -> Int64[Tensor, "B H W"]:
    """The strict result where it is foreground, 0 where both are background, else ignored."""
    label = strict.clone()
    label[strict == 0] = IGNORE
    label[(strict == 0) & (lenient == 0)] = 0
    return label


def patch_label(
    cam: Float[Tensor, "B n H W"], tags: Float[Tensor, "B n"], grid: tuple[int, int], config: LabelConfig
) -> Int64[Tensor, "B h w"]:
    """Labels for L_aff: those of the auxiliary CAM by thresholds alone, at each patch of the grid."""
    label = cam_to_label(cam, tags, config.high, config.low)
    return F.interpolate(label.unsqueeze(1).float(), grid, mode="nearest").squeeze(1).long()
