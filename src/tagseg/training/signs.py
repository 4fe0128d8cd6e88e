"""Signs of life: what a step's outputs say about whether a training still depends on its images. No forward pass."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE
from tagseg.fsr.losses import Outputs


@torch.no_grad()
def signs_of(outputs: Outputs, tags: Float[Tensor, "B K"]) -> dict[str, Tensor]:
    """Means over a batch, so that those of processes with equal shares can be averaged.

    Returns:
        ``tagged``, share of images with a tag; ``found``, share of images with a tag and a positive tag logit;
        ``tag_logit``, mean highest tag logit; ``tag_loss``, mean binary cross-entropy of the final classifier in nats;
        ``tags`` (K,), share of images with each tag; ``ranked`` (2,), of ``ranked_pairs``, an image; and ``direction``
        (D,) and ``alignment``, from which ``with_similarity`` computes the similarity. With a segmentation also those
        of ``segmentation_signs``.
    """
    logits = _full(outputs.logits)
    present = tags.to(logits.dtype)
    tagged, highest = tags.sum(dim=1) > 0, logits.amax(dim=1)
    directions = F.normalize(_full(outputs.patches).flatten(2), dim=1).mean(dim=2)  # (B, D), of an image's patches
    signs = {
        "tagged": tagged.to(logits.dtype).mean(),
        "found": (tagged & (highest > 0)).to(logits.dtype).mean(),
        "tag_logit": highest.mean(),
        "tag_loss": F.multilabel_soft_margin_loss(logits, present),
        "tags": present.mean(dim=0),
        "ranked": ranked_pairs(logits, present) / len(tags),
        "direction": directions.mean(dim=0),
        "alignment": directions.square().sum(dim=1).mean(),
    }
    if outputs.segmentation is not None and outputs.label is not None:
        signs |= segmentation_signs(outputs.segmentation, outputs.label)
    return signs


def ranked_pairs(logits: Float[Tensor, "B K"], tags: Float[Tensor, "B K"]) -> Float[Tensor, " 2"]:
    """Pairs of an image with a tag and one without: in how many the first has the higher logit of it, and how many.

    Equal logits count half. The share is the area under the ROC curve; outputs that do not depend on the image have ½.
    """
    pairs = tags[:, None] * (1 - tags[None])
    difference = logits[:, None] - logits[None]
    return torch.stack([(pairs * (difference.sign() + 1) / 2).sum(), pairs.sum()])


def with_similarity(signs: dict[str, Tensor], images: int) -> dict[str, Tensor]:
    """The signs with ``similarity``, the mean cosine over all pairs of patches of different images, −1 to 1.

    Products of means are means of products: of all pairs those within an image are taken away.

    Args:
        signs: means over the images of all processes.
        images: how many those are; of one image there are no pairs.
    """
    rest = {name: value for name, value in signs.items() if name not in ("direction", "alignment")}
    if "direction" not in signs or images < 2:
        return rest
    within = signs["alignment"]
    return rest | {"similarity": (images * signs["direction"].square().sum() - within) / (images - 1)}


def segmentation_signs(segmentation: Float[Tensor, "B C h w"], label: Int64[Tensor, "B H W"]) -> dict[str, Tensor]:
    """Signs of the decoder, at the centres of its patches.

    Returns:
        ``predicted`` (C,), share of patches where a label has the highest logit (each of several equal ones counts);
        ``labels`` (C,), share of patches trained on each label; ``label_losses`` (2,), cross-entropy in nats on those
        trained on background and on the others, each summed and divided by the number of all patches.
    """
    logits = _full(segmentation)
    shrunk = F.interpolate(label[:, None].to(logits.dtype), size=logits.shape[-2:], mode="nearest-exact")
    label = shrunk[:, 0].long()
    names = torch.arange(logits.shape[1], device=label.device)[:, None, None]
    losses = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")
    background = label == 0
    return {
        "predicted": (logits == logits.amax(dim=1, keepdim=True)).to(logits.dtype).mean(dim=(0, 2, 3)),
        "labels": (label[:, None] == names).to(logits.dtype).mean(dim=(0, 2, 3)),
        "label_losses": torch.stack([(losses * part).mean() for part in (background, ~background)]),
    }


def shown(signs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those worth a curve, by the names they are logged under."""
    curves = {"tag_logit": signs["tag_logit"]} if "tag_logit" in signs else {}
    if "similarity" in signs:
        curves["feature_similarity"] = signs["similarity"]
    if "predicted" in signs:
        curves["commonest_label_share"] = signs["predicted"].amax()
    return {f"signs/{name}": value for name, value in curves.items()}


def _full(values: Tensor) -> Tensor:
    """At least float32: under autocast values have fewer digits than these shares need."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
