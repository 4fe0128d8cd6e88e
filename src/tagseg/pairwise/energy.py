"""Dense energy (METHOD §7): neighbours of like colour should share their label. With its analytic gradient."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from tagseg.config import EnergyConfig
from tagseg.data.dataset import IGNORE
from tagseg.pairwise.bilateral import features, gaussian_filter

LATTICE_SCALE = 1 / 1.72
"""The published weight is for a lattice approximation; the exact sum is 1.72 times its loss (golden/README)."""


def dense_energy(
    logits: Float[Tensor, "B C H W"],
    image: Float[Tensor, "B 3 H W"],
    label: Int64[Tensor, "B H W"],
    config: EnergyConfig,
) -> Float[Tensor, ""]:
    """E = −(1/B) Σ_b Σ_k Σ_i S_ik Gate_i (K S)_ik · scale, evaluated exactly at half resolution.

    K S is an exact Gaussian sum divided by 1.72, the calibration that keeps the meaning of the published weight.

    Args:
        logits: at full size.
        image: 0 to 255.
        label: pseudo-label; where it is 255 the energy acts in full, elsewhere where the prediction is unsure.
        config: kernel widths and scale.
    """
    half = tuple(max(1, side // 2) for side in logits.shape[-2:])
    soft = F.interpolate(logits.float().softmax(dim=1), size=half, mode="bilinear", align_corners=False)
    small = F.interpolate(image.float(), size=half, mode="nearest")
    ignored = F.interpolate(label.unsqueeze(1).float(), size=half, mode="nearest").squeeze(1) == IGNORE
    with torch.no_grad():
        unsure = (1 - soft.amax(dim=1)).clamp(min=0)
        gate = torch.where(ignored, torch.ones_like(unsure), unsure)
    points = features(small, config.sigma_xy / 2, config.sigma_rgb)
    energy: Tensor = _Energy.apply(soft.flatten(2), points, gate.flatten(1))
    return energy * config.scale


class _Energy(torch.autograd.Function):
    """S (B, C, N), points (B, N, 5), gate (B, N) → energy; gradient −2 · Gate · (K S) / B."""

    @staticmethod
    def forward(ctx: Any, soft: Tensor, points: Tensor, gate: Tensor) -> Tensor:
        filtered = LATTICE_SCALE * gaussian_filter(points, soft.transpose(1, 2)).transpose(1, 2)
        gated = gate.unsqueeze(1) * filtered / len(soft)
        ctx.save_for_backward(gated)
        return -(soft * gated).sum()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (gated,) = ctx.saved_tensors
        return -2 * gated * grad_outputs[0], None, None
