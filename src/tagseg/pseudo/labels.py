"""Pseudo-labels from CAMs (METHOD §6). Labels: 0 background, 1 to K foreground, 255 ignored."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from tagseg.config import LabelConfig
from tagseg.data.dataset import IGNORE
from tagseg.pseudo.refine import refine


def cam_to_label(
    cam: Float[Tensor, "B K H W"], tags: Float[Tensor, "B K"], high: float, low: float
) -> Int64[Tensor, "B H W"]:
    """Highest present class where its CAM is above ``high``; background at or below ``low``; between: ignored."""
    value, label = _best(cam, tags)
    label[value <= high] = IGNORE
    label[value <= low] = 0
    return label


def cam_to_score(
    cam: Float[Tensor, "B K H W"], tags: Float[Tensor, "B K"], background_threshold: float
) -> Int64[Tensor, "B H W"]:
    """A CAM as a label map for scoring: background at or below the threshold, nothing ignored."""
    value, label = _best(cam, tags)
    label[value <= background_threshold] = 0
    return label


def _best(cam: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
    """Value and label (1 to K) of the highest present class."""
    value, index = (cam * tags[:, :, None, None]).max(dim=1)
    return value, index + 1


def refined_label(
    image: Float[Tensor, "B 3 H W"],
    cam: Float[Tensor, "B K H W"],
    tags: Float[Tensor, "B K"],
    config: LabelConfig,
) -> Int64[Tensor, "B H W"]:
    """Pseudo-label of PAR-refined CAMs, once with a strict and once with a lenient background.

    The label is the strict result (background plane of value ``high``) where that is foreground, 0 where both
    results are background, else ignored.

    Args:
        image: in [0, 1].
        cam: normalised CAM in [0, 1].
        tags: 0 or 1; an image without tags is all background.
        config: thresholds and PAR's settings.
    """
    size = cam.shape[-2:]
    present, classes, cams = present_cams(cam, tags)
    half = tuple(max(1, side // 2) for side in size)
    small = F.interpolate(image, size=half, mode="bilinear", align_corners=False)
    planes = [_soften(cams, present, value, half) for value in (config.high, config.low)]
    refined = refine(
        small,
        torch.cat(planes, dim=1),
        config.refine_iterations,
        config.refine_dilations,
        config.refine_spatial_weight,
        config.refine_sharpness,
    )
    refined = F.interpolate(refined, size=size, mode="bilinear", align_corners=False)
    strict, lenient = (_argmax_class(part, classes) for part in refined.chunk(2, dim=1))
    label = strict.clone()
    label[strict == 0] = IGNORE
    label[(strict == 0) & (lenient == 0)] = 0
    return label


def present_cams(
    cam: Float[Tensor, "B K H W"], tags: Float[Tensor, "B K"]
) -> tuple[Tensor, Int64[Tensor, "B n"], Float[Tensor, "B n H W"]]:
    """The CAMs of each image's present classes, first in their channels.

    Returns:
        Which of the n channels are present (B, n), their class indices and their CAMs; n is the highest count of tags
        in the batch.
    """
    count = int(tags.sum(dim=1).max())
    classes = tags.argsort(dim=1, descending=True, stable=True)[:, :count]
    present = tags.gather(1, classes) > 0
    chosen = cam.gather(1, classes[:, :, None, None].expand(-1, -1, *cam.shape[-2:]))
    return present, classes, chosen


def _soften(cams: Tensor, present: Tensor, background: float, half: tuple[int, ...]) -> Float[Tensor, "B n1 h w"]:
    """Stack a constant background plane on the present CAMs, halve, softmax over them; absent channels get 0."""
    plane = (
        torch.full_like(cams[:, :1], background)
        if cams.shape[1]
        else cams.new_full((len(cams), 1, *cams.shape[-2:]), background)
    )
    stacked = F.interpolate(torch.cat([plane, cams], dim=1), size=half, mode="bilinear", align_corners=False)
    absent = F.pad(~present, (1, 0), value=False)
    return stacked.masked_fill(absent[:, :, None, None], -torch.inf).softmax(dim=1)


def _argmax_class(maps: Float[Tensor, "B n1 H W"], classes: Int64[Tensor, "B n"]) -> Int64[Tensor, "B H W"]:
    """Label of the highest channel: 0 for the background plane, class index + 1 for the others."""
    labels = F.pad(classes + 1, (1, 0), value=0)
    best = maps.argmax(dim=1)
    return labels.gather(1, best.flatten(1)).view_as(best)
