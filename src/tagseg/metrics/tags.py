"""F1 of predicted tags."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def tag_f1(logits: Float[Tensor, "B K"], tags: Float[Tensor, "B K"], threshold: float = 0.5) -> Float[Tensor, " B"]:
    """F1 of the predicted tags of each image (section 8 of docs/method.md); the tag F1 is its mean over all images.

    This is scikit-learn's ``average="samples"``, except that an image without tags for which no tag is predicted has 1.

    Args:
        logits: of the foreground classes; a tag is predicted where sigmoid(logit) > ``threshold``.
        tags: 0 or 1.
        threshold: of the probability, 0 to 1.

    Returns:
        2·hits / (predicted + true), 0 to 1.
    """
    predicted = logits.sigmoid() > threshold
    true = tags > 0
    hits = (predicted & true).sum(dim=1)
    total = predicted.sum(dim=1) + true.sum(dim=1)
    return torch.where(total > 0, 2 * hits / total.clamp(min=1), 1.0)
