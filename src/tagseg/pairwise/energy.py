"""Dense energy (METHOD §7): neighbours of like colour should share their label. With its analytic gradient."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor
from torch.nn import functional as F

from tagseg.config import EnergyConfig
from tagseg.data.dataset import IGNORE
from tagseg.pairwise.bilateral import choose, features, lattice_filter
from tagseg.pairwise.exact import exact_filter

LATTICE_SCALE = 1 / 1.72
"""The published weight is for the lattice, as published; the exact sum is 1.72 times its loss on photos, and divided by
that the weight keeps its meaning."""


def dense_energy(
    logits: Float[Tensor, "B C H W"],
    image: Float[Tensor, "B 3 H W"],
    label: Int64[Tensor, "B H W"],
    config: EnergyConfig,
) -> Float[Tensor, ""]:
    """E = −(1/B) Σ_b Σ_k Σ_i S_ik Gate_i (K S)_ik · scale at half resolution, on the logits' device.

    K S is the lattice's at the published scale, or the exact sum divided by 1.72: the published weight keeps its
    meaning.
    Memory is linear in the number of pixels.

    Args:
        logits: at full size.
        image: 0 to 255.
        label: pseudo-label; where it is 255 the energy acts in full, elsewhere where the prediction is unsure.
        config: kernel widths, scale, and how the kernel is evaluated.

    Raises:
        TagsegError: too many pixels for the exact sum on a CPU.
    """
    half = tuple(max(1, side // 2) for side in logits.shape[-2:])
    soft = F.interpolate(logits.float().softmax(dim=1), size=half, mode="bilinear", align_corners=False)
    energy: Tensor = _Energy.apply(soft, gated_neighbours(soft, image, label, config))
    return energy * config.scale


@torch.no_grad()
def gated_neighbours(
    soft: Float[Tensor, "B C h w"],
    image: Shaped[Tensor, "B 3 H W"],
    label: Int64[Tensor, "B H W"],
    config: EnergyConfig,
) -> Float[Tensor, "B C h w"]:
    """Gate · (K S) / B of METHOD §7, a constant for the gradient: E is −Σ S · this, and dE/dS −2 · this.

    Args:
        soft: S, probabilities at half resolution.
        image: 0 to 255, at full size, as the label.
        label: pseudo-label.
        config: kernel widths, and how the kernel is evaluated.
    """
    half = soft.shape[-2:]
    small = F.interpolate(image.float(), size=half, mode="nearest")
    ignored = F.interpolate(label.unsqueeze(1).float(), size=half, mode="nearest").squeeze(1) == IGNORE
    unsure = (1 - soft.amax(dim=1)).clamp(min=0)
    gate = torch.where(ignored, torch.ones_like(unsure), unsure)
    points = features(small, config.sigma_xy / 2, config.sigma_rgb)
    values = soft.detach().flatten(2).transpose(1, 2)
    exact = choose(config.method, points.shape[1], points.device.type) == "exact"
    filtered = LATTICE_SCALE * exact_filter(points, values) if exact else lattice_filter(points, values)
    return gate.unsqueeze(1) * filtered.transpose(1, 2).unflatten(2, half) / len(soft)


class _Energy(torch.autograd.Function):
    """S and Gate · (K S) / B, both (B, C, h, w) → energy; gradient −2 · Gate · (K S) / B."""

    @staticmethod
    def forward(ctx: Any, soft: Tensor, gated: Tensor) -> Tensor:
        ctx.save_for_backward(gated)
        return -(soft * gated).sum()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (gated,) = ctx.saved_tensors
        return -2 * gated * grad_outputs[0], None
