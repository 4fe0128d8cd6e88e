"""Half-whitening: the spread of features in each direction is reduced to its square root.

A few directions hold most of the variance of a ViT's final map and drown the others in a cosine similarity. Whole
whitening gives noise the same weight as content.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

POWER = 0.5
"""0: as they are; 1: whole whitening."""
SMALLEST = 1e-4
"""Share of the largest variance below which a direction is not stretched further."""


@dataclass(frozen=True)
class Whitening:
    """A linear map of features.

    Attributes:
        mean: (D,) subtracted first.
        matrix: (D, D) symmetric.
    """

    mean: Float[Tensor, " D"]
    matrix: Float[Tensor, "D D"]

    @staticmethod
    def fitted(features: Float[Tensor, "n D h w"], at_once: int = 64) -> Whitening:
        """The one of some features, any precision."""
        width, count = features.shape[1], features[:, 0].numel()
        total = torch.zeros(width, dtype=torch.float64, device=features.device)
        products = torch.zeros((width, width), dtype=torch.float64, device=features.device)
        for part in features.split(at_once):
            rows = part.float().transpose(0, 1).flatten(1)
            total += rows.double().sum(dim=1)
            products += (rows @ rows.T).double()
        mean = total / count
        variances, directions = torch.linalg.eigh(products / count - mean[:, None] * mean)
        variances = variances.clamp(min=SMALLEST * max(0.0, float(variances[-1])) + 1e-12)
        matrix = (directions * variances ** (-POWER / 2)) @ directions.T
        return Whitening(mean.float(), matrix.float())

    def __call__(self, features: Float[Tensor, "n D h w"]) -> Float[Tensor, "n D h w"]:
        """Features, half-whitened; float32."""
        return torch.einsum("ij,njhw->nihw", self.matrix, features.float() - self.mean[:, None, None])
