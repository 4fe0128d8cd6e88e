"""Encoder families: the parts of a pretrained model that an ``Encoder`` is built from, without its head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from timm.layers import PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from tagseg.errors import TagsegError


@dataclass
class VitParts:
    """A pretrained vision transformer taken apart.

    Attributes:
        width: D.
        heads: attention heads of a block.
        patch_size: side of a patch in pixels.
        grid: rows and columns of patches that the position embedding was trained with.
        patch_embed: images (B, 3, H, W) → (B, D, h, w).
        patch_norm: norm of the patch embeddings, often the identity.
        norm_pre: norm before the first block, often the identity.
        blocks: the transformer blocks, (B, N, D) → (B, N, D).
        norm: the final norm.
        class_token: (1, 1, D), or ``None``.
        register_tokens: (1, R, D), or ``None``.
        positions: (1, N, D) position embedding of the patches.
    """

    width: int
    heads: int
    patch_size: int
    grid: tuple[int, int]
    patch_embed: nn.Module
    patch_norm: nn.Module
    norm_pre: nn.Module
    blocks: nn.Sequential
    norm: nn.Module
    class_token: Tensor | None
    register_tokens: Tensor | None
    positions: Tensor


def take_apart(vit: VisionTransformer, name: str) -> VitParts:
    """The parts of a plain ViT.

    The class token meets the patches only after the blocks, where positions no longer matter, so its position embedding
    is not used.

    Args:
        vit: the model.
        name: its name in timm, for messages.

    Raises:
        TagsegError: no learned position embedding, or blocks without one attention.
    """
    width = int(vit.embed_dim)
    if vit.pos_embed is None:
        raise TagsegError(f"{type(vit).__name__} has no learned position embedding: choose a plain ViT of timm")
    positions = vit.pos_embed.detach()
    prefix = 0 if vit.no_embed_class else vit.num_prefix_tokens
    registers = vit.reg_token.detach() if vit.reg_token is not None else None
    if registers is not None and prefix:
        registers = registers + positions[:, prefix - registers.shape[1] : prefix]
    norms = (n for n in (vit.norm, vit.fc_norm) if isinstance(n, nn.Module) and not isinstance(n, nn.Identity))
    return VitParts(
        width=width,
        heads=_heads(vit, name),
        patch_size=int(vit.patch_embed.patch_size[0]),
        grid=tuple(vit.patch_embed.grid_size),
        patch_embed=vit.patch_embed.proj,
        patch_norm=vit.patch_embed.norm,
        norm_pre=vit.norm_pre,
        blocks=vit.blocks,
        norm=next(norms, nn.LayerNorm(width, eps=1e-6)),
        class_token=None if vit.cls_token is None else vit.cls_token.detach(),
        register_tokens=registers,
        positions=positions[:, prefix:],
    )


def _heads(vit: VisionTransformer, name: str) -> int:
    block = vit.blocks[0]
    attention = getattr(block, "attn", None)
    if attention is None:
        raise TagsegError(
            f"network.encoder {name!r} has blocks of the kind {type(block).__name__}, expected blocks with one "
            "attention: try deit_small_patch16_224 or vit_base_patch16_224"
        )
    return int(attention.num_heads)


FAMILIES: dict[type[nn.Module], Callable[[Any, str], VitParts]] = {VisionTransformer: take_apart}
"""Kind of a timm model → the function that takes one apart, given its name. To add a family, add its line."""


def family_of(model: nn.Module) -> Callable[[Any, str], VitParts] | None:
    """The function that takes a model apart; ``None`` where no family fits."""
    if isinstance(model, VisionTransformer) and not isinstance(model.patch_embed, PatchEmbed):
        return None  # a convolutional stem
    return next((take for kind, take in FAMILIES.items() if isinstance(model, kind)), None)


def check_family(model: nn.Module, name: str) -> None:
    """Raise ``TagsegError`` unless the model is of a known family."""
    if family_of(model) is None:
        raise TagsegError(
            f"network.encoder {name!r} is a {type(model).__name__}, expected a plain ViT of timm "
            "(VisionTransformer without a convolutional stem): try deit_small_patch16_224 or vit_base_patch16_224"
        )


def parts_of(model: nn.Module, name: str) -> VitParts:
    """The parts of a model of a known family.

    Raises:
        TagsegError: no known family, or a member of one that cannot be taken apart.
    """
    check_family(model, name)
    take = family_of(model)
    assert take is not None  # just checked
    return take(model, name)
