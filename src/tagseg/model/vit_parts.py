"""Encoder families: the parts of a pretrained model that an ``Encoder`` is built from, without its head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from timm.layers import PatchEmbed
from torch import Tensor, nn

from tagseg.errors import TagsegError
from tagseg.model.rotary import RotaryPositions


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
        blocks: the transformer blocks, (B, N, D) → (B, N, D); with ``rotary`` they take its positions as ``rope``.
        norm: the final norm.
        class_token: (1, 1, D), or ``None``.
        register_tokens: (1, R, D), or ``None``.
        positions: (1, N, D) position embedding that is added to the patches, or ``None``.
        rotary: rotary positions of the patches, or ``None``.
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
    positions: Tensor | None
    rotary: RotaryPositions | None = None


PROTOCOL = ("embed_dim", "patch_embed", "cls_token", "reg_token", "pos_embed", "blocks", "norm", "fc_norm")
"""What a ViT of timm has, and all that is needed to take it apart; tokens and positions may be ``None``. Where there is
``norm_pre``, a norm before the blocks, or ``rope``, rotary positions, they are taken too."""


def is_timm_vit(model: nn.Module) -> bool:
    """Whether a model has what ``PROTOCOL`` names, and embeds patches by one convolution, not by a deeper stem."""
    return all(hasattr(model, name) for name in PROTOCOL) and isinstance(model.patch_embed, PatchEmbed)


def take_apart(vit: Any, name: str) -> VitParts:
    """The parts of a model for which ``is_timm_vit`` holds. Its blocks are changed: they rotate all but the registers.

    The class token meets the patches only after the blocks, where positions no longer matter, so its position embedding
    is not used.

    Args:
        vit: the model.
        name: its name in timm, for messages.

    Raises:
        TagsegError: no positions, blocks without one attention, or patches that are not square.
    """
    height, width = vit.patch_embed.patch_size
    if height != width:
        raise TagsegError(f"network.encoder {name!r} has patches of {height}x{width} pixels, expected square ones")
    grid: tuple[int, int] = tuple(vit.patch_embed.grid_size)
    registers, positions = _register_tokens_and_positions(vit, grid)
    blocks = nn.Sequential(*vit.blocks)
    rope = getattr(vit, "rope", None)
    if positions is None and rope is None:
        raise TagsegError(
            f"network.encoder {name!r} has neither learned nor rotary positions, expected one of them: "
            "try deit_small_patch16_224 or vit_base_patch16_224"
        )
    heads = _heads(blocks[0], name)
    if rope is not None:
        for block in blocks:
            _attention(block, name).num_prefix_tokens = 0 if registers is None else registers.shape[1]
    norms = (n for n in (vit.norm, vit.fc_norm) if isinstance(n, nn.Module) and not isinstance(n, nn.Identity))
    return VitParts(
        width=int(vit.embed_dim),
        heads=heads,
        patch_size=int(height),
        grid=grid,
        patch_embed=vit.patch_embed.proj,
        patch_norm=vit.patch_embed.norm,
        norm_pre=getattr(vit, "norm_pre", nn.Identity()),
        blocks=blocks,
        norm=next(norms, nn.LayerNorm(int(vit.embed_dim), eps=1e-6)),
        class_token=None if vit.cls_token is None else vit.cls_token.detach(),
        register_tokens=registers,
        positions=positions,
        rotary=None if rope is None else RotaryPositions(rope, name),
    )


def _register_tokens_and_positions(vit: Any, grid: tuple[int, int]) -> tuple[Tensor | None, Tensor | None]:
    """Register tokens with their positions added, (1, R, D), and the patches' positions, (1, N, D)."""
    registers = None if vit.reg_token is None else vit.reg_token.detach()
    if vit.pos_embed is None:
        return registers, None
    positions = vit.pos_embed.detach()
    prefix = positions.shape[1] - grid[0] * grid[1]  # class, distillation and register tokens, or none of them
    if registers is not None and prefix:
        registers = registers + positions[:, prefix - registers.shape[1] : prefix]
    return registers, positions[:, prefix:]


def _heads(block: Any, name: str) -> int:
    """Attention heads of a block; those that compute attention and MLP side by side keep the number themselves."""
    return int(block.num_heads if hasattr(block, "num_heads") else _attention(block, name).num_heads)


def _attention(block: Any, name: str) -> Any:
    attention = getattr(block, "attn", None)
    if attention is None:
        raise TagsegError(
            f"network.encoder {name!r} has blocks of the kind {type(block).__name__}, expected blocks with one "
            "attention: try deit_small_patch16_224 or vit_base_patch16_224"
        )
    return attention


FAMILIES: dict[type[nn.Module], Callable[[Any, str], VitParts]] = {}
"""Kind of a model → the function that takes one apart, given its name: families beside those that are built like timm's
ViTs, which need no line here."""


def family_of(model: nn.Module) -> Callable[[Any, str], VitParts] | None:
    """The function that takes a model apart; ``None`` where no family fits."""
    own = next((take for kind, take in FAMILIES.items() if isinstance(model, kind)), None)
    return own or (take_apart if is_timm_vit(model) else None)


def check_family(model: nn.Module, name: str) -> None:
    """Raise ``TagsegError`` unless the model is of a known family."""
    if family_of(model) is None:
        raise TagsegError(
            f"network.encoder {name!r} is a {type(model).__name__}, expected a plain ViT of timm (VisionTransformer or "
            "Eva: DeiT, DINOv2, DINOv3, CLIP, SigLIP, EVA-02, PE) without a convolutional stem: "
            "try deit_small_patch16_224 or vit_base_patch16_224"
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
