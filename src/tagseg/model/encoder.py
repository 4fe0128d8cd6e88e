"""Encoder (METHOD §1): any plain timm ViT, with mask token, auxiliary layer and a global token from its patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from timm.layers import Mlp
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tagseg.config import NetworkConfig
from tagseg.errors import TagsegError
from tagseg.model.depth import StochasticDepth, draw_kept, take_over


@dataclass
class Features:
    """What the encoder makes of B images.

    Attributes:
        patches: (B, D, h, w) final map, normalised.
        auxiliary: (B, D, h, w) output of the auxiliary block, not normalised.
        tokens: (B, N, D) final patch tokens, not normalised.
        aggregate: from these to the global token, (B, N, D) → (B, D).
    """

    patches: Tensor
    auxiliary: Tensor
    tokens: Tensor
    aggregate: Callable[[Tensor], Tensor]

    @property
    def token(self) -> Float[Tensor, "B D"]:
        """Global token, normalised; computed when it is read, which few images need."""
        return self.aggregate(self.tokens)

    @property
    def patch_list(self) -> Float[Tensor, "B N D"]:
        """The final map as a list of patches."""
        return self.patches.flatten(2).transpose(1, 2)

    def __getitem__(self, images: slice) -> Features:
        """The features of some of the images."""
        return Features(self.patches[images], self.auxiliary[images], self.tokens[images], self.aggregate)


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

    Attributes:
        checkpointing: forget what is inside the blocks after the forward pass and compute it again in the backward
            pass: a third more time for a fraction of the memory.
        packed_block: what runs a block over inputs of several sizes, if not ``packed.run_block`` itself.
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
        self.checkpointing = False
        self.packed_block: Callable[..., Tensor] | None = None
        self.depths: list[list[StochasticDepth]] = [take_over(block) for block in self.blocks]
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
        heads = _heads(vit, config.encoder)
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

    def first_tokens(
        self, images: Float[Tensor, "B 3 H W"], mask: Bool[Tensor, "B h w"] | None = None
    ) -> tuple[Float[Tensor, "B _T D"], tuple[int, int]]:
        """What enters the first block: register tokens, where there are any, then the patches; and the patch grid."""
        tokens, grid = self.embed(images, mask)
        if self.register_tokens is not None:
            tokens = torch.cat([self.register_tokens.expand(len(tokens), -1, -1), tokens], dim=1)
        return self.norm_pre(tokens), grid

    @property
    def registers(self) -> int:
        """Number of register tokens, which stand before the patches."""
        return 0 if self.register_tokens is None else self.register_tokens.shape[1]

    def _run(
        self, images: Tensor, mask: Tensor | None, seeds: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Tokens behind the last and behind the auxiliary block, both (B, N, D), and the patch grid."""
        tokens, grid = self.first_tokens(images, mask)
        kept = None if seeds is None or not self.training else draw_kept(self.depths, seeds).to(tokens.device)
        auxiliary = tokens
        for index in range(len(self.blocks)):
            tokens = self._block(index, tokens, kept)
            if index == self.aux_index:
                auxiliary = tokens
        return tokens[:, self.registers :], auxiliary[:, self.registers :], grid

    def _block(self, index: int, tokens: Tensor, kept: Tensor | None) -> Tensor:
        """One block; its stochastic depth is told what to keep in here, as a checkpoint calls it a second time."""

        def run(x: Tensor) -> Tensor:
            for place, depth in enumerate(self.depths[index]):
                depth.kept = None if kept is None else kept[index, place]
            return self.blocks[index](x)

        if self.checkpointing and torch.is_grad_enabled():
            result: Tensor = checkpoint(run, tokens, use_reentrant=False)
            return result
        return run(tokens)

    def forward(
        self,
        images: Float[Tensor, "B 3 H W"],
        mask: Bool[Tensor, "B h w"] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Features:
        """Encode images.

        Args:
            images: normalised; H and W are multiples of the patch.
            mask: True hides a patch.
            seeds: one an image, from which its stochastic depth is drawn; without them it is drawn from PyTorch's
                generator.
        """
        return self.features(*self._run(images, mask, seeds))

    def features(
        self, tokens: Float[Tensor, "B N D"], auxiliary: Float[Tensor, "B N D"], grid: tuple[int, int]
    ) -> Features:
        """What is read of the tokens behind the last and behind the auxiliary block."""
        return Features(_to_map(self.norm(tokens), grid), _to_map(auxiliary, grid), tokens, self.aggregate)

    def patch_map(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D h w"]:
        """Only the final map, without the global token: what prediction needs."""
        tokens, _, grid = self._run(images, None)
        return _to_map(self.norm(tokens), grid)

    def aggregate(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B D"]:
        """Global token, normalised, of the final patch tokens."""
        return self.norm(self._aggregate(tokens))[:, 0]

    def _aggregate(self, tokens: Tensor) -> Tensor:
        if self.pooling == "average":
            return tokens.mean(dim=1, keepdim=True)
        if self.pooling == "max":
            return tokens.amax(dim=1, keepdim=True)
        token = self.class_token.expand(len(tokens), -1, -1)
        for block in self.aggregation:
            token = block(token, tokens)
        return token


def _heads(vit: VisionTransformer, name: str) -> int:
    """Attention heads of a block."""
    block = vit.blocks[0]
    attention = getattr(block, "attn", None)
    if attention is None:
        raise TagsegError(
            f"network.encoder {name!r} has blocks of the kind {type(block).__name__}, expected blocks with one "
            "attention: try deit_small_patch16_224 or vit_base_patch16_224"
        )
    return int(attention.num_heads)


def _to_map(tokens: Float[Tensor, "B N D"], grid: tuple[int, int]) -> Float[Tensor, "B D h w"]:
    return tokens.transpose(1, 2).unflatten(2, grid)
