"""Dense energy, the loss L_reg (section 7 of docs/method.md): neighbours of similar colour should share their label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE
from tagseg.fsr.config import EnergyConfig
from tagseg.pairwise.bilateral import choose
from tagseg.pairwise.config import FilterMethod
from tagseg.pairwise.exact import exact_filter
from tagseg.pairwise.lattice import Lattice, pixel_features

LATTICE_SCALE = 1 / 1.72
"""The published weight is for the lattice. The exact sum gives 1.72 times its loss on photos; divided by that, the
weight keeps its meaning."""

Filter = Callable[[Tensor, Tensor, FilterMethod], Tensor]
"""Features (B, N, F), values (B, N, M) and method → K S (B, N, M) at the lattice's published scale."""


def lattice_scale_filter(
    points: Float[Tensor, "B N F"], values: Float[Tensor, "B N M"], method: FilterMethod
) -> Float[Tensor, "B N M"]:
    """K S by the lattice, or as the exact sum divided by 1.72.

    Raises:
        TagsegError: too many pixels for the exact sum on a CPU.
    """
    if method != "lattice" and choose(method, points.shape[1], points.device.type) == "exact":
        return LATTICE_SCALE * exact_filter(points, values)
    return Lattice.build(points).filter(values)


def dense_energy(
    logits: Float[Tensor, "B C H W"],
    image: Shaped[Tensor, "B 3 H W"],
    label: Int64[Tensor, "B H W"],
    config: EnergyConfig,
    bilateral: Filter = lattice_scale_filter,
) -> Float[Tensor, ""]:
    """E = −(1/B) Σ_b Σ_k Σ_i S_ik Gate_i (K S)_ik · scale at half resolution.

    Memory is linear in the number of pixels.

    Args:
        logits: at full size.
        image: 0 to 255.
        label: pseudo-label; where it is 255 the energy acts in full, elsewhere where the prediction is unsure.
        config: widths of the kernel, scale, and how the kernel is evaluated.
        bilateral: evaluates K S.
    """
    half = tuple(max(1, side // 2) for side in logits.shape[-2:])
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    soft = F.interpolate(logits.softmax(dim=1), size=half, mode="bilinear", align_corners=False)
    energy: Tensor = _Energy.apply(soft, gated_neighbours(soft, image, label, config, bilateral))
    return energy * config.scale


@torch.no_grad()
def gated_neighbours(
    soft: Float[Tensor, "B C h w"],
    image: Shaped[Tensor, "B 3 H W"],
    label: Int64[Tensor, "B H W"],
    config: EnergyConfig,
    bilateral: Filter = lattice_scale_filter,
) -> Float[Tensor, "B C h w"]:
    """G = Gate · (K S) / B, constant for the gradient: E = −Σ S · G and dE/dS = −2 · G, both times the scale.

    Args:
        soft: S, probabilities at half resolution.
        image: 0 to 255, at full size, as the label.
        label: pseudo-label.
        config: widths of the kernel, and how it is evaluated.
        bilateral: evaluates K S.
    """
    half = soft.shape[-2:]
    small = F.interpolate(image.to(soft.dtype), size=half, mode="nearest")
    ignored = F.interpolate(label.unsqueeze(1).float(), size=half, mode="nearest").squeeze(1) == IGNORE
    unsure = (1 - soft.amax(dim=1)).clamp(min=0)
    gate = torch.where(ignored, torch.ones_like(unsure), unsure)
    points = pixel_features(small, config.sigma_xy / 2, config.sigma_rgb)
    filtered = bilateral(points, soft.detach().flatten(2).transpose(1, 2), config.method)
    return gate.unsqueeze(1) * filtered.transpose(1, 2).unflatten(2, half) / len(soft)


class _Energy(torch.autograd.Function):
    """S and G, both (B, C, h, w) → energy; gradient −2 · G."""

    @staticmethod
    def forward(ctx: Any, soft: Tensor, gated: Tensor) -> Tensor:
        ctx.save_for_backward(gated)
        return -(soft * gated).sum()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (gated,) = ctx.saved_tensors
        return -2 * gated * grad_outputs[0], None
