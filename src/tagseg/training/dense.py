"""L_seg and L_reg of a decoder's patch grid, one image's pixels at a time.

As the formulas stand (``segmentation_loss``, ``dense_energy``), logits, their log-softmax, their softmax and the
gradients of all these lie in memory at full size for every image and class: gigabytes with COCO's 81 classes. Here the
pixels of an image are made, read and forgotten, in the forward pass and again in the backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from tagseg.config import EnergyConfig
from tagseg.data.dataset import IGNORE
from tagseg.pairwise.energy import dense_energy, gated_neighbours
from tagseg.training.losses import pixel_weights, segmentation_loss


def dense_losses(
    logits: Float[Tensor, "B C h w"],
    label: Int64[Tensor, "B H W"],
    image: UInt8[Tensor, "B 3 H W"],
    energy: EnergyConfig | None,
) -> dict[str, Tensor]:
    """``segmentation`` and, where it is on, ``energy``, in float32.

    Args:
        logits: the decoder's, a patch each.
        label: pseudo-label.
        image: 0 to 255.
        energy: settings of L_reg, ``None`` where it is off.
    """
    height, width = label.shape[-2:]
    with torch.autocast(logits.device.type, enabled=False):
        if height % 2 or width % 2:  # pixels cannot be paired: the formulas as they stand
            upsampled = _pixels(logits.float(), (height, width))
            found = {"segmentation": segmentation_loss(upsampled, label)}
            return (
                found if energy is None else found | {"energy": dense_energy(upsampled, image.float(), label, energy)}
            )
        segmentation, regularisation = _Dense.apply(logits.float(), label, pixel_weights(label), image, energy)
    return {"segmentation": segmentation} | ({} if energy is None else {"energy": regularisation})


class _Dense(torch.autograd.Function):
    """Both losses; S at half resolution is the mean of two by two pixels."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, label: Tensor, weights: Tensor, image: Tensor, config: EnergyConfig | None
    ) -> tuple[Tensor, Tensor]:
        size = label.shape[-2], label.shape[-1]
        known = torch.where(label == IGNORE, 0, label).unsqueeze(1)
        segmentation = logits.new_zeros(())
        halves = []
        for grid, of, weight in zip(logits.split(1), known.split(1), weights.split(1), strict=True):
            log = torch.log_softmax(_pixels(grid, size), dim=1)
            segmentation -= (log.gather(1, of).squeeze(1) * weight).sum()
            if config is not None:
                halves.append(F.avg_pool2d(log.exp_(), 2))
        energy, gated, ctx.factor = logits.new_zeros(()), logits.new_zeros(0), 0.0
        if config is not None:
            soft = torch.cat(halves)
            gated = gated_neighbours(soft, image, label, config)
            energy = -(soft * gated).sum() * config.scale
            ctx.factor = -2 * config.scale / 4  # a quarter: each pixel of four
        ctx.save_for_backward(logits, known, weights, gated)
        return segmentation, energy

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        logits, known, weights, gated = ctx.saved_tensors
        of_segmentation, of_energy = grad_outputs
        size = known.shape[-2], known.shape[-1]
        gradients = []
        for index, grid in enumerate(logits.split(1)):
            soft = torch.softmax(_pixels(grid, size), dim=1)
            weight = weights[index, None, None] * of_segmentation
            gradient = (soft * weight).scatter_add_(1, known[index : index + 1], -weight)
            if len(gated):
                pull = F.interpolate(gated[index : index + 1], scale_factor=2, mode="nearest") * soft
                gradient += (pull - soft * pull.sum(dim=1, keepdim=True)) * (ctx.factor * of_energy)
            gradients.append(
                torch.ops.aten.upsample_bilinear2d_backward(gradient, size, list(grid.shape), False, None, None)
            )
        return torch.cat(gradients), None, None, None, None


def _pixels(grid: Float[Tensor, "B C h w"], size: tuple[int, int]) -> Float[Tensor, "B C H W"]:
    return F.interpolate(grid, size=size, mode="bilinear", align_corners=False)
