"""Classification, segmentation and affinity loss (METHOD §5). None of them is ever NaN on finite input."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE


def classification_loss(
    logits: Float[Tensor, "B K"], aux_logits: Float[Tensor, "B K"], tags: Float[Tensor, "B K"]
) -> Float[Tensor, ""]:
    """L_cls: multilabel soft margin of the final and of the auxiliary logits."""
    return F.multilabel_soft_margin_loss(logits, tags) + F.multilabel_soft_margin_loss(aux_logits, tags)


def segmentation_loss(logits: Float[Tensor, "B C H W"], label: Int64[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """L_seg: half the mean cross-entropy over background pixels and half that over foreground pixels.

    A batch without background (or foreground) pixels has 0 in that half. Logits are at the label's size.
    """
    entropy = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")
    background, foreground = label == 0, (label != 0) & (label != IGNORE)
    return 0.5 * masked_mean(entropy, background) + 0.5 * masked_mean(entropy, foreground)


def affinity_loss(features: Float[Tensor, "B D h w"], label: Int64[Tensor, "B h w"]) -> Float[Tensor, ""]:
    """L_aff: features of patches with the same label agree in |cosine|, those with different labels do not.

    0.5 · (1 − Σ_pos |cos| / (n_pos + 1)) + 0.5 · Σ_neg |cos| / (n_neg + 1), sums over the whole batch.
    """
    unit = F.normalize(features.float().flatten(2), dim=1)
    cosine = torch.einsum("bdn,bdm->bnm", unit, unit).abs()
    same, different = affinity_pairs(label)
    positive = (cosine * same).sum() / (same.sum() + 1)
    negative = (cosine * different).sum() / (different.sum() + 1)
    return 0.5 * (1 - positive) + 0.5 * negative


def affinity_pairs(label: Int64[Tensor, "B h w"]) -> tuple[Bool[Tensor, "B N N"], Bool[Tensor, "B N N"]]:
    """Pairs of patches with equal and with different labels; pairs with an ignored patch or itself are in neither."""
    flat = label.flatten(1)
    known = flat != IGNORE
    valid = known[:, :, None] & known[:, None, :]
    valid &= ~torch.eye(flat.shape[1], dtype=torch.bool, device=label.device)
    equal = flat[:, :, None] == flat[:, None, :]
    return valid & equal, valid & ~equal


def masked_mean(values: Tensor, mask: Tensor) -> Float[Tensor, ""]:
    """Mean of the values where the boolean ``mask`` is true; 0 where it never is."""
    chosen = torch.where(mask, values, torch.zeros_like(values))
    return chosen.sum() / mask.sum().clamp(min=1)
