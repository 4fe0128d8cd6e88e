"""Encoder (section 1 of docs/method.md): a ViT with mask token, auxiliary map and a global token of its patches.

Its drop path can be given its draws: an image's draw comes from its own seed. So the losses of a batch do not depend on
how many processes share it, nor on an image's place in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tagseg.errors import TagsegError
from tagseg.model.config import NetworkConfig
from tagseg.model.heads import CrossAttentionBlock
from tagseg.model.vit_parts import VitParts


@dataclass
class Features:
    """Features of B images.

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

    def global_token(self) -> Float[Tensor, "B D"]:
        """Global token, normalised. Each call runs the aggregation."""
        return self.aggregate(self.tokens)

    def patch_list(self) -> Float[Tensor, "B N D"]:
        """The final map as a list of patches."""
        return self.patches.flatten(2).transpose(1, 2)

    def __getitem__(self, images: slice) -> Features:
        """The features of some of the images."""
        return Features(self.patches[images], self.auxiliary[images], self.tokens[images], self.aggregate)


class Encoder(nn.Module):
    """A ViT taken apart so that each step of section 1 can be read.

    Only patch tokens (and register tokens, where the pretrained model has them) run through the blocks; the class
    token joins after them, in the aggregation.

    Args:
        parts: pretrained parts of a ViT.
        config: auxiliary layer and aggregation.

    Raises:
        TagsegError: an auxiliary layer that the ViT does not have.
    """

    def __init__(self, parts: VitParts, config: NetworkConfig) -> None:
        super().__init__()
        self.width, self.patch_size, self.grid = parts.width, parts.patch_size, parts.grid
        self.patch_embed, self.patch_norm = parts.patch_embed, parts.patch_norm
        self.mask_token = nn.Parameter(torch.zeros(self.width))
        nn.init.normal_(self.mask_token, std=0.02)
        token = torch.randn(1, 1, self.width) * 0.02 if parts.class_token is None else parts.class_token
        self.class_token = nn.Parameter(token.clone())
        registers = parts.register_tokens
        self.register_tokens = None if registers is None else nn.Parameter(registers.clone())
        self.positions = None if parts.positions is None else nn.Parameter(parts.positions.clone())
        self.rotary = parts.rotary
        self.norm_pre, self.blocks, self.norm = parts.norm_pre, parts.blocks, parts.norm
        self.drop_paths: list[list[SeededDropPath]] = [replace_drop_paths(block) for block in self.blocks]
        self.aux_index = len(self.blocks) + config.aux_layer
        if self.aux_index < 0:
            raise TagsegError(
                f"network.aux_layer is {config.aux_layer}, expected -{len(self.blocks)} to -1: "
                f"{config.encoder} has {len(self.blocks)} blocks"
            )
        self.pooling = config.aggregation
        depth = config.aggregation_depth if config.aggregation == "attention" else 0
        self.aggregation = nn.ModuleList(CrossAttentionBlock(self.width, parts.heads) for _ in range(depth))

    def forward(
        self,
        images: Float[Tensor, "B 3 H W"],
        mask: Bool[Tensor, "B h w"] | None = None,
        seeds: Sequence[int] | None = None,
        recompute: bool = False,
    ) -> Features:
        """Encode images.

        Args:
            images: normalised; H and W are multiples of the patch size.
            mask: True masks a patch.
            seeds: one an image, from which its drop path is drawn; without them it is drawn from PyTorch's generator.
            recompute: recompute the blocks in the backward pass (gradient checkpointing).
        """
        return self.features(*self._run(images, mask, seeds, recompute))

    def features(
        self, tokens: Float[Tensor, "B N D"], auxiliary: Float[Tensor, "B N D"], grid: tuple[int, int]
    ) -> Features:
        """The features of the patch tokens after the last and after the auxiliary block."""
        return Features(_to_map(self.norm(tokens), grid), _to_map(auxiliary, grid), tokens, self.aggregate)

    def patch_map(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D h w"]:
        """Only the final map, which is all that prediction needs."""
        tokens, _, grid = self._run(images, None)
        return _to_map(self.norm(tokens), grid)

    def _run(
        self, images: Tensor, mask: Tensor | None, seeds: Sequence[int] | None = None, recompute: bool = False
    ) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Patch tokens after the last and after the auxiliary block, both (B, N, D), and the patch grid."""
        tokens, grid = self.first_tokens(images, mask)
        drawn = None if seeds is None or not self.training else draw_kept(self.drop_paths, seeds)
        kept = None if drawn is None else drawn.to(tokens.device, non_blocking=True)
        return *self.run_blocks(tokens, grid, kept, recompute), grid

    def run_blocks(
        self,
        tokens: Float[Tensor, "B _T D"],
        grid: tuple[int, int],
        kept: Bool[Tensor, "blocks branches B"] | None = None,
        recompute: bool = False,
    ) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "B N D"]]:
        """From what ``first_tokens`` gives to the patch tokens after the last and after the auxiliary block.

        Args:
            tokens: register tokens, where there are any, then the patches.
            grid: of the patches.
            kept: which images keep which branch of which block (``draw_kept``); without it drop path is drawn.
            recompute: recompute the blocks in the backward pass.
        """
        auxiliary, rotations = tokens, self.rotations(grid)
        for index in range(len(self.blocks)):
            tokens = self._block(index, tokens, rotations, kept, recompute)
            if index == self.aux_index:
                auxiliary = tokens
        return tokens[:, self.registers :], auxiliary[:, self.registers :]

    def first_tokens(
        self, images: Float[Tensor, "B 3 H W"], mask: Bool[Tensor, "B h w"] | None = None
    ) -> tuple[Float[Tensor, "B _T D"], tuple[int, int]]:
        """What enters the first block: register tokens, where there are any, then the patches; and the patch grid."""
        tokens, grid = self.embed(images, mask)
        if self.register_tokens is not None:
            tokens = torch.cat([self.register_tokens.expand(len(tokens), -1, -1), tokens], dim=1)
        return self.norm_pre(tokens), grid

    def embed(
        self, images: Float[Tensor, "B 3 H W"], mask: Bool[Tensor, "B h w"] | None = None
    ) -> tuple[Float[Tensor, "B N D"], tuple[int, int]]:
        """Patch tokens with masked ones (True) replaced by the mask token, positions added; and the patch grid.

        Raises:
            TagsegError: the size is not a multiple of the patch size.
        """
        height, width = images.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            raise TagsegError(
                f"an input is {height}x{width} pixels, expected multiples of the patch size ({self.patch_size}): "
                "resize or pad it, or set --views.size to a multiple"
            )
        tokens = self.patch_embed(images)
        h, w = tokens.shape[-2:]
        tokens = self.patch_norm(tokens.flatten(2).transpose(1, 2))
        if mask is not None:
            tokens = torch.where(mask.flatten(1).unsqueeze(-1), self.mask_token.to(tokens.dtype), tokens)
        if self.positions is not None:
            tokens = tokens + self._resized(self.positions, (h, w))
        return tokens, (h, w)

    def _resized(self, positions: Float[Tensor, "1 M D"], grid: tuple[int, int]) -> Float[Tensor, "1 N D"]:
        """Patch position embedding resized bicubic, without antialiasing, to a grid of patches."""
        if grid == self.grid:
            return positions
        plane = positions.unflatten(1, self.grid).permute(0, 3, 1, 2)
        if plane.dtype != torch.float64:
            plane = plane.float()
        plane = F.interpolate(plane, size=grid, mode="bicubic", align_corners=False)
        return plane.flatten(2).transpose(1, 2).to(positions.dtype)

    def rotations(self, grid: tuple[int, int]) -> list[Tensor] | None:
        """Rotary positions of the patches of a grid, one tensor a block; ``None`` where blocks take tokens alone."""
        return None if self.rotary is None else self.rotary(grid, len(self.blocks))

    @property
    def registers(self) -> int:
        """Number of register tokens, which stand before the patches."""
        return 0 if self.register_tokens is None else self.register_tokens.shape[1]

    def apply_block(
        self, index: int, tokens: Float[Tensor, "B _T D"], rotations: list[Tensor] | None
    ) -> Float[Tensor, "B _T D"]:
        """One block on the register and patch tokens of images of one size, whose ``rotations`` are given."""
        block = self.blocks[index]
        result: Tensor = block(tokens) if rotations is None else block(tokens, rope=rotations[index])
        return result

    def _block(
        self, index: int, tokens: Tensor, rotations: list[Tensor] | None, kept: Tensor | None, recompute: bool
    ) -> Tensor:
        """One block. ``kept`` is set inside ``run``, as recomputing calls it a second time."""

        def run(x: Tensor) -> Tensor:
            for branch, drop_path in enumerate(self.drop_paths[index]):
                drop_path.kept = None if kept is None else kept[index, branch]
            return self.apply_block(index, x, rotations)

        if recompute and torch.is_grad_enabled():
            result: Tensor = checkpoint(run, tokens, use_reentrant=False)
            return result
        return run(tokens)

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


def _to_map(tokens: Float[Tensor, "B N D"], grid: tuple[int, int]) -> Float[Tensor, "B D h w"]:
    return tokens.transpose(1, 2).unflatten(2, grid)


class SeededDropPath(DropPath):
    """timm's drop path, to which the images that keep the branch can be given.

    Attributes:
        kept: (B,) bool, the images that keep this branch; ``None`` draws from PyTorch's generator, as timm does.
    """

    kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop the whole branch of an image with probability ``drop_prob``, scale the others; nothing in evaluation.

        (B, N, D) → (B, N, D).
        """
        if self.kept is None or not self.training:
            result: Tensor = super().forward(x)
            return result
        factor = self.kept.to(x.dtype)
        if self.scale_by_keep and self.drop_prob < 1:
            factor = factor / (1 - self.drop_prob)
        return x * factor.view(-1, *[1] * (x.ndim - 1))


def replace_drop_paths(block: nn.Module) -> list[SeededDropPath]:
    """Replace each ``DropPath`` of a block by a ``SeededDropPath`` of its rate; returns them in order."""
    drop_paths = []
    for name, child in list(block.named_modules()):
        if isinstance(child, DropPath):
            parent, _, attribute = name.rpartition(".")
            drop_paths.append(SeededDropPath(child.drop_prob, child.scale_by_keep))
            setattr(block.get_submodule(parent), attribute, drop_paths[-1])
    return drop_paths


def draw_kept(
    drop_paths: Sequence[Sequence[SeededDropPath]], seeds: Sequence[int]
) -> Bool[Tensor, "blocks branches B"]:
    """Which images (one a seed) keep which branch of which block."""
    branches = max((len(row) for row in drop_paths), default=0)
    rates = torch.zeros(len(drop_paths), branches)
    for index, row in enumerate(drop_paths):
        rates[index, : len(row)] = torch.tensor([drop_path.drop_prob for drop_path in row])
    draws = [torch.rand(rates.shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(draws, dim=-1) >= rates.unsqueeze(-1)
