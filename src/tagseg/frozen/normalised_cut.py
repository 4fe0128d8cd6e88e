"""Foreground of one photo by a normalised cut of its patches (Shi and Malik 2000; with features of a ViT: TokenCut)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from tagseg.beyond.boundary_prior import border, deviation_of

SIMILAR = 0.4
"""Patches whose features have more than this cosine similarity share an edge."""
WEAK = 1e-5
"""Weight of the edge between any other two, so that the graph is connected."""


def normalised_cut(features: Float[Tensor, "n D h w"]) -> Float[Tensor, "n h w"]:
    """The second eigenvector of each photo's normalised graph Laplacian, mean 0 and variance 1.

    The sign is chosen so that the border of the photo is negative on average (boundary prior); all 0 where the patches
    are not told apart.

    Args:
        features: of a pretrained encoder, any precision.
    """
    directions = F.normalize(features.float().flatten(2), dim=1)
    similar = directions.transpose(1, 2) @ directions > SIMILAR
    weights = torch.where(similar, 1.0, WEAK)
    scale = weights.sum(dim=2).rsqrt()  # degree to the power -1/2
    symmetric = scale[:, :, None] * weights * scale[:, None, :]
    # The first eigenvector, 1 / scale, is known: without it the largest one left is the second.
    first = F.normalize(1 / scale, dim=1)
    symmetric = symmetric - first[:, :, None] * first[:, None, :]
    vectors = torch.linalg.eigh(symmetric)[1][:, :, -1] * scale
    cut = vectors.unflatten(1, features.shape[-2:])
    cut = cut - cut.mean(dim=(1, 2), keepdim=True)
    deviation = deviation_of(cut, (1, 2))[:, None, None]
    cut = torch.where(_told_apart(similar)[:, None, None], cut / (deviation + 1e-12), 0.0)
    on_border = cut[:, border(*features.shape[-2:]).to(cut.device)].mean(dim=1)
    return torch.where(on_border[:, None, None] > 0, -cut, cut)


def _told_apart(similar: Bool[Tensor, "n N N"]) -> Bool[Tensor, " n"]:
    """Whether some pairs of different patches are similar and some are not: else any vector is a second eigenvector."""
    patches = similar.shape[1]
    pairs = similar.sum(dim=(1, 2)) - similar.diagonal(dim1=1, dim2=2).sum(dim=1)
    return (pairs > 0) & (pairs < patches * (patches - 1))
