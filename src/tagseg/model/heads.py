"""Heads (section 1 of docs/method.md): cross-attention, decoders, projector, pooling."""

from __future__ import annotations

import torch
from jaxtyping import Float
from timm.layers import Mlp
from torch import Tensor, nn
from torch.nn import functional as F


class CrossAttentionBlock(nn.Module):
    """The class token attends to the patches.

    Query: LayerNorm of the class token. Keys and values: the same LayerNorm of the patch tokens, without the class
    token itself. Residual; then LayerNorm and MLP ×4, residual.
    """

    def __init__(self, width: int, heads: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, hidden_features=4 * width)

    def forward(self, token: Float[Tensor, "B 1 D"], patches: Float[Tensor, "B N D"]) -> Float[Tensor, "B 1 D"]:
        """Return the updated class token."""
        normed = self.norm1(patches)

        def split(x: Tensor) -> Tensor:
            # (B, n, D) → (B, heads, n, D/heads)
            return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        attended = F.scaled_dot_product_attention(
            split(self.query(self.norm1(token))), split(self.key(normed)), split(self.value(normed))
        )
        token = token + self.out(attended.transpose(1, 2).flatten(2))
        return token + self.mlp(self.norm2(token))


class LargeFOV(nn.Sequential):
    """Decoder: two 3×3 convolutions with a large dilation and ReLU, then 1×1 to C classes. No biases.

    (B, D, h, w) → (B, C, h, w).

    Args:
        width: D.
        classes: C.
        hidden: channels between.
        dilation: of the 3×3 convolutions.
    """

    def __init__(self, width: int, classes: int, hidden: int, dilation: int) -> None:
        super().__init__(
            nn.Conv2d(width, hidden, 3, padding=dilation, dilation=dilation, bias=False),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation, bias=False),
            nn.ReLU(),
            nn.Conv2d(hidden, classes, 1, bias=False),
        )
        for layer in self:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


class Standardise(nn.Module):
    """Subtracts a mean from each channel and divides by a deviation, both fixed. (B, D, h, w) → (B, D, h, w).

    Args:
        width: D.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width, 1, 1))
        self.register_buffer("deviation", torch.ones(width, 1, 1))

    def forward(self, x: Float[Tensor, "B D h w"]) -> Float[Tensor, "B D h w"]:
        """Standardised channels."""
        return (x - self.mean) / self.deviation


class ConvDecoder(nn.Sequential):
    """Decoder for features that are not trained: standardise, one 3×3 convolution with ReLU, then 1×1 to C classes.

    (B, D, h, w) → (B, C, h, w). Not in the paper.

    Args:
        width: D.
        classes: C.
        hidden: channels between.
        dropout: share of the hidden channels that are dropped in training.
    """

    def __init__(self, width: int, classes: int, hidden: int, dropout: float = 0.1) -> None:
        super().__init__(
            Standardise(width),
            nn.Conv2d(width, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(hidden, classes, 1),
        )


class TagPrior(nn.Module):
    """Tags predicted for the whole photo, held against each patch: what the photo seems not to show is less likely.

    One patch is easily taken for another class; the photo as a whole seldom is. The log-probability of each class,
    from the mean of the maps, relative to that of the likeliest class, is added to its logits; background and the
    likeliest class keep theirs. Without effect until it is fitted. Not in the paper.

    Args:
        width: D.
        classes: K.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, classes)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, logits: Float[Tensor, "B C h w"], maps: Float[Tensor, "B D h w"]) -> Float[Tensor, "B C h w"]:
        """Logits given the photo's tags, background first."""
        known = F.logsigmoid(self.classifier(maps.mean(dim=(2, 3))))
        relative = known - known.amax(dim=1, keepdim=True)
        return torch.cat([logits[:, :1], logits[:, 1:] + relative[:, :, None, None]], dim=1)


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


def pooled(features: Float[Tensor, "B D h w"], share: float = 0.0) -> Float[Tensor, "B D"]:
    """Global max pooling, or the mean of the highest ``share`` of each channel's values (not in the paper)."""
    values = features.flatten(2)
    count = max(1, round(share * values.shape[2]))
    return values.amax(dim=2) if count == 1 else values.topk(count, dim=2, sorted=False).values.mean(dim=2)
