"""Scores averaged over the similar patches of a photo: one step of a random walk on its patches."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

POWER = 2
"""Of the cosine similarity; higher walks to the most similar patches alone."""


def random_walk(scores: Float[Tensor, "n h w"], features: Float[Tensor, "n D h w"]) -> Float[Tensor, "n h w"]:
    """One step: each patch gets the mean score of all patches, weighted by the power of their cosine similarity.

    Args:
        scores: any range and precision.
        features: of the same patches; negative similarities have no weight.
    """
    directions = F.normalize(features.float().flatten(2), dim=1)
    weights = (directions.transpose(1, 2) @ directions).clamp(min=0) ** POWER
    walked = (weights @ scores.float().flatten(1)[:, :, None])[:, :, 0] / weights.sum(dim=2).clamp(min=1e-12)
    return walked.unflatten(1, scores.shape[-2:])
