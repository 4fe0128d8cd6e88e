"""Losses of a step (section 5 of docs/method.md), except the distillation. None of them is NaN on finite input.

A batch may be computed in shares: by several processes, each in several parts (gradient accumulation). Where a loss
divides by a count of pixels or pairs, each share divides by the count of the whole batch over the number of shares: the
mean of their losses, and of their gradients, is then the loss of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE
from tagseg.distributed import process_count, summed
from tagseg.fsr.config import EnergyConfig
from tagseg.fsr.energy import dense_energy


@dataclass
class Outputs:
    """What the trained network gave for view 1: the losses read it, and a training is watched by it.

    Attributes:
        logits: (B, K) tag logits of the final classifier.
        patches: (B, D, h, w) final map.
        segmentation: (B, C, h, w) logits of the decoder; ``None`` where no loss reads them.
        label: (B, H, W) int64, the labels that they are trained on; ``None`` likewise.
    """

    logits: Tensor
    patches: Tensor
    segmentation: Tensor | None = None
    label: Tensor | None = None


@dataclass
class StepLosses:
    """The losses of one step.

    Attributes:
        total: weighted sum of the terms.
        terms: each term by name, unweighted.
        health: of the distillation: teacher entropy and KL of each cross-entropy.
        outputs: what the losses were computed from; ``None``: the method does not tell, and is not watched.
    """

    total: Tensor
    terms: dict[str, Tensor]
    health: dict[str, Tensor]
    outputs: Outputs | None = None

    @classmethod
    def of(
        cls,
        terms: dict[str, Tensor],
        weights: dict[str, float],
        health: dict[str, Tensor],
        outputs: Outputs | None = None,
    ) -> StepLosses:
        """Weigh the terms and sum them."""
        total = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        return cls(total, terms, health, outputs)


def classification_loss(
    logits: Float[Tensor, "B K"], aux_logits: Float[Tensor, "B K"], tags: Float[Tensor, "B K"]
) -> Float[Tensor, ""]:
    """L_cls: multilabel soft margin of the final and of the auxiliary logits."""
    # At least in float32: a log-sigmoid keeps two digits in bfloat16.
    final, auxiliary = (values.to(torch.promote_types(values.dtype, torch.float32)) for values in (logits, aux_logits))
    tags = tags.to(final.dtype)
    return F.multilabel_soft_margin_loss(final, tags) + F.multilabel_soft_margin_loss(auxiliary, tags)


def segmentation_loss(
    logits: Float[Tensor, "B C H W"], label: Int64[Tensor, "B H W"], counts: Float[Tensor, " 2"] | None = None
) -> Float[Tensor, ""]:
    """L_seg: half the mean cross-entropy over background pixels and half that over foreground pixels.

    A batch without background (or foreground) pixels has 0 in that half. Logits are at the label's size.

    Args:
        logits: of the decoder.
        label: of all classes.
        counts: ``pixel_counts`` of all parts of the batch; ``None``: this is all of it.
    """
    entropy = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")
    return (entropy * pixel_weights(label, counts)).sum()


def pixel_weights(label: Int64[Tensor, "B H W"], counts: Float[Tensor, " 2"] | None = None) -> Float[Tensor, "B H W"]:
    """Weight of each pixel in L_seg: half over the number of background or of foreground pixels, 0 where ignored."""
    counts = pixel_counts([label]) if counts is None else counts
    masks = _background_and_foreground(label)
    return sum(torch.where(mask, 0.5 / count, 0.0) for mask, count in zip(masks, counts, strict=True))  # type: ignore[return-value]


def pixel_counts(labels: Sequence[Int64[Tensor, "B H W"]]) -> Float[Tensor, " 2"]:
    """Background and foreground pixels of a whole batch, over the number of its shares; 1 at least.

    Args:
        labels: of all parts of this process's share.
    """
    counts = [torch.stack([mask.sum() for mask in _background_and_foreground(label)]) for label in labels]
    return summed(torch.stack(counts).sum(dim=0)).clamp(min=1) / (process_count() * len(labels))


def _background_and_foreground(label: Tensor) -> tuple[Tensor, Tensor]:
    return label == 0, (label != 0) & (label != IGNORE)


def dense_losses(
    logits: Float[Tensor, "B C h w"],
    label: Int64[Tensor, "B H W"],
    image: UInt8[Tensor, "B 3 H W"],
    energy: EnergyConfig | None,
    counts: Float[Tensor, " 2"] | None = None,
) -> dict[str, Tensor]:
    """L_seg as ``segmentation`` and L_reg as ``energy``, of the decoder's logits upsampled bilinear.

    Args:
        logits: the decoder's, one vector a patch.
        label: pseudo-labels of all classes.
        image: the view, 0 to 255.
        energy: settings of L_reg; ``None`` leaves it out.
        counts: ``pixel_counts`` of all parts of the batch; ``None``: this is all of it.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    logits = F.interpolate(logits, size=label.shape[-2:], mode="bilinear", align_corners=False)
    losses = {"segmentation": segmentation_loss(logits, label, counts)}
    if energy is not None:
        losses["energy"] = dense_energy(logits, image, label, energy)
    return losses


def affinity_loss(
    features: Float[Tensor, "B D h w"], label: Int64[Tensor, "B h w"], pairs: Float[Tensor, " 2"] | None = None
) -> Float[Tensor, ""]:
    """L_aff: features of patches with the same label agree in |cosine|, those with different labels do not.

    0.5 · (1 − Σ_pos |cos| / (n_pos + 1)) + 0.5 · Σ_neg |cos| / (n_neg + 1), sums over the whole batch.

    Args:
        features: final map.
        label: of each patch.
        pairs: ``pair_counts`` of all parts of the batch; ``None``: this is all of it.
    """
    with torch.autocast(features.device.type, enabled=False):
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        unit = F.normalize(features.flatten(2), dim=1)
        cosine = (unit.transpose(1, 2) @ unit).abs()
    same, different = affinity_pairs(label)
    pairs = pair_counts([label]) if pairs is None else pairs
    positive = (cosine * same).sum() / pairs[0]
    negative = (cosine * different).sum() / pairs[1]
    return 0.5 * (1 - positive) + 0.5 * negative


def pair_counts(labels: Sequence[Int64[Tensor, "B h w"]]) -> Float[Tensor, " 2"]:
    """n_pos + 1 and n_neg + 1 of a whole batch, over the number of its shares.

    Args:
        labels: of patches, of all parts of this process's share.
    """
    counts = [torch.stack([pairs.sum() for pairs in affinity_pairs(label)]) for label in labels]
    return (summed(torch.stack(counts).sum(dim=0)) + 1) / (process_count() * len(labels))


def affinity_pairs(label: Int64[Tensor, "B h w"]) -> tuple[Bool[Tensor, "B N N"], Bool[Tensor, "B N N"]]:
    """Pairs of patches with equal and with different labels; pairs with an ignored patch or itself are in neither."""
    flat = label.flatten(1)
    known = flat != IGNORE
    valid = known[:, :, None] & known[:, None, :]
    valid &= ~torch.eye(flat.shape[1], dtype=torch.bool, device=label.device)
    equal = flat[:, :, None] == flat[:, None, :]
    return valid & equal, valid & ~equal
