"""Encoder (METHOD §1): any plain timm ViT, with mask token, auxiliary layer and a global token from its patches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from timm.layers import Mlp
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.config import NetworkConfig
from tagseg.errors import TagsegError


@dataclass
class Features:
    """What the encoder makes of B images.

    Attributes:
        token: (B, D) global token, normalised.
        patches: (B, D, h, w) final map, normalised.
        auxiliary: (B, D, h, w) output of the auxiliary block, not normalised.
    """

    token: Tensor
    patches: Tensor
    auxiliary: Tensor

    def __getitem__(self, images: slice) -> Features:
        """The features of some of the images."""
        return Features(self.token[images], self.patches[images], self.auxiliary[images])


class CrossAttentionBlock(nn.Module):
    """The class token asks the patches (the paper's multi-token cross-attention).

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


class Encoder(nn.Module):
    """A plain ViT taken apart so that each step of METHOD §1 can be read.

    Only patch tokens (and register tokens, where the pretrained model has them) run through the blocks; the class
    token joins after them, in the aggregation.

    Args:
        vit: the timm model whose pretrained parts are taken over; its classification head is not.
        config: auxiliary layer and aggregation.
    """

    def __init__(self, vit: VisionTransformer, config: NetworkConfig) -> None:
        super().__init__()
        self.width = int(vit.embed_dim)
        self.patch_size = int(vit.patch_embed.patch_size[0])
        self.grid: tuple[int, int] = tuple(vit.patch_embed.grid_size)
        self.patch_embed = vit.patch_embed.proj
        self.patch_norm = vit.patch_embed.norm
        self.mask_token = nn.Parameter(torch.zeros(self.width))
        nn.init.normal_(self.mask_token, std=0.02)
        self._take_tokens_and_positions(vit)
        self.norm_pre = vit.norm_pre
        self.blocks = vit.blocks
        self.norm = next(
            (n for n in (vit.norm, vit.fc_norm) if isinstance(n, nn.Module) and not isinstance(n, nn.Identity)),
            nn.LayerNorm(self.width, eps=1e-6),
        )
        self.aux_index = len(self.blocks) + config.aux_layer
        if self.aux_index < 0:
            raise TagsegError(
                f"network.aux_layer is {config.aux_layer}, expected -{len(self.blocks)} to -1: "
                f"{config.encoder} has {len(self.blocks)} blocks"
            )
        self.pooling = config.aggregation
        heads = int(vit.blocks[0].attn.num_heads)  # type: ignore[union-attr,arg-type]
        depth = config.aggregation_depth if config.aggregation == "attention" else 0
        self.aggregation = nn.ModuleList(CrossAttentionBlock(self.width, heads) for _ in range(depth))

    def _take_tokens_and_positions(self, vit: VisionTransformer) -> None:
        token = vit.cls_token.detach() if vit.cls_token is not None else torch.randn(1, 1, self.width) * 0.02
        registers = vit.reg_token.detach() if vit.reg_token is not None else None
        positions = vit.pos_embed.detach() if vit.pos_embed is not None else None
        if positions is None:
            raise TagsegError(f"{type(vit).__name__} has no learned position embedding: choose a plain ViT of timm")
        prefix = 0 if vit.no_embed_class else vit.num_prefix_tokens
        if registers is not None and prefix:
            registers = registers + positions[:, prefix - registers.shape[1] : prefix]
        # The class token meets the patches after the blocks, where positions no longer matter, so its own is unused.
        self.class_token = nn.Parameter(token.clone())
        self.register_tokens = None if registers is None else nn.Parameter(registers.clone())
        self.positions = nn.Parameter(positions[:, prefix:].clone())

    def positions_for(self, h: int, w: int) -> Float[Tensor, "1 N D"]:
        """Patch position embedding resized bicubic, without antialiasing, to a grid of h × w patches."""
        if (h, w) == self.grid:
            return self.positions
        plane = self.positions.unflatten(1, self.grid).permute(0, 3, 1, 2)
        plane = F.interpolate(plane.float(), size=(h, w), mode="bicubic", align_corners=False)
        return plane.flatten(2).transpose(1, 2).to(self.positions.dtype)

    def embed(
        self, images: Float[Tensor, "B 3 H W"], mask: Bool[Tensor, "B h w"] | None = None
    ) -> tuple[Float[Tensor, "B N D"], tuple[int, int]]:
        """Patch tokens with masked ones (True) replaced by the mask token, positions added; and the patch grid.

        Raises:
            TagsegError: the size is not a multiple of the patch.
        """
        height, width = images.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            raise TagsegError(
                f"an input is {height}x{width} pixels, expected multiples of the patch ({self.patch_size}): "
                "resize or pad it, or set --views.size to a multiple"
            )
        tokens = self.patch_embed(images)
        h, w = tokens.shape[-2:]
        tokens = self.patch_norm(tokens.flatten(2).transpose(1, 2))
        if mask is not None:
            tokens = torch.where(mask.flatten(1).unsqueeze(-1), self.mask_token.to(tokens.dtype), tokens)
        return tokens + self.positions_for(h, w), (h, w)

    def _run(self, images: Tensor, mask: Tensor | None, last: int) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Tokens after block ``last`` and after the auxiliary block, both (B, N, D), and the patch grid."""
        tokens, grid = self.embed(images, mask)
        registers = 0
        if self.register_tokens is not None:
            registers = self.register_tokens.shape[1]
            tokens = torch.cat([self.register_tokens.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = self.norm_pre(tokens)
        auxiliary = tokens
        for index in range(last + 1):
            tokens = self.blocks[index](tokens)
            if index == self.aux_index:
                auxiliary = tokens
        return tokens[:, registers:], auxiliary[:, registers:], grid

    def forward(self, images: Float[Tensor, "B 3 H W"], mask: Bool[Tensor, "B h w"] | None = None) -> Features:
        """Encode normalised images; H and W are multiples of the patch, True in ``mask`` hides a patch."""
        tokens, auxiliary, grid = self._run(images, mask, len(self.blocks) - 1)
        token = self._aggregate(tokens)
        normed = self.norm(torch.cat([token, tokens], dim=1))
        return Features(normed[:, 0], _to_map(normed[:, 1:], grid), _to_map(auxiliary, grid))

    def auxiliary(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D h w"]:
        """Only the auxiliary map: stops at its block."""
        _, auxiliary, grid = self._run(images, None, self.aux_index)
        return _to_map(auxiliary, grid)

    def patch_map(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D h w"]:
        """Only the final map, without the global token: what prediction needs."""
        tokens, _, grid = self._run(images, None, len(self.blocks) - 1)
        return _to_map(self.norm(tokens), grid)

    def _aggregate(self, tokens: Tensor) -> Tensor:
        if self.pooling == "average":
            return tokens.mean(dim=1, keepdim=True)
        if self.pooling == "max":
            return tokens.amax(dim=1, keepdim=True)
        token = self.class_token.expand(len(tokens), -1, -1)
        for block in self.aggregation:
            token = block(token, tokens)
        return token


def _to_map(tokens: Float[Tensor, "B N D"], grid: tuple[int, int]) -> Float[Tensor, "B D h w"]:
    return tokens.transpose(1, 2).unflatten(2, grid)
