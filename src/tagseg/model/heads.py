"""Heads (METHOD §1): the LargeFOV decoder and the projector of the self-distillation."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class LargeFOV(nn.Sequential):
    """Decoder: two 3×3 convolutions with a large dilation and ReLU, then 1×1 to C classes. No biases.

    (B, D, h, w) → (B, C, h, w).

    Args:
        width: D.
        classes: C.
        hidden: channels between.
        dilation: of the 3×3 convolutions.
        start: factor of the last layer's initial weights. With the paper's, 1, the first logits have a standard
            deviation of about 4 (C = 21), which a short training has to unlearn; 0 starts from equal scores.
    """

    def __init__(self, width: int, classes: int, hidden: int, dilation: int, start: float = 1.0) -> None:
        last = nn.Conv2d(hidden, classes, 1, bias=False)
        super().__init__(
            nn.Conv2d(width, hidden, 3, padding=dilation, dilation=dilation, bias=False),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation, bias=False),
            nn.ReLU(),
            last,
        )
        for layer in self:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        with torch.no_grad():
            last.weight.mul_(start)


class Prototypes(nn.Module):
    """Weight-normalised linear layer without bias whose gain is fixed at 1: each output is a cosine."""

    def __init__(self, width: int, prototypes: int) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.empty(prototypes, width))
        nn.init.trunc_normal_(self.direction, std=0.02)

    def forward(self, x: Float[Tensor, "*n E"]) -> Float[Tensor, "*n P"]:
        """Project vectors of E entries on P unit directions."""
        return F.linear(x, F.normalize(self.direction, dim=1))


class Projector(nn.Module):
    """DINO head: three linear layers with GELU, L2-normalise, prototypes. Shared by global token and patches."""

    def __init__(self, width: int, hidden: int, bottleneck: int, prototypes: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, bottleneck)
        )
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.prototypes = Prototypes(bottleneck, prototypes)

    def forward(self, tokens: Float[Tensor, "*n D"]) -> Float[Tensor, "*n P"]:
        """Project tokens."""
        projected: Tensor = self.prototypes(self.embed(tokens))
        return projected

    def embed(self, tokens: Float[Tensor, "*n D"]) -> Float[Tensor, "*n E"]:
        """Unit vectors before the prototypes. Those are linear: the mean projection is the projection of the mean."""
        return F.normalize(self.mlp(tokens), dim=-1)
