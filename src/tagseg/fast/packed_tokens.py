"""Equals ``model.encoder.Encoder`` without gradient: inputs of several sizes go through the blocks together.

Everything in a block but the attention treats each token on its own, so the tokens of all scales and mirror images lie
in one long array, and only the attention takes them apart. Blocks with rotary positions, which depend on the patch
grid, are run as they are, one size after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from timm.models.vision_transformer import Attention, Block
from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.fast.first_tokens import first_tokens
from tagseg.fast.onednn import FusedBlock, PackedWeights
from tagseg.model.encoder import Encoder

RunBlock = Callable[[nn.Module, Tensor, list[tuple[int, int]], FusedBlock | None], Tensor]
"""Block, tokens (T, D), count and length of the inputs of each size, packed weights → tokens (T, D)."""


@dataclass
class Group:
    """The patch tokens of n inputs of one size, (n, N, D) each, N = h · w.

    Attributes:
        tokens: after the last block that was run, not normalised.
        auxiliary: after the auxiliary block.
        grid: h and w.
    """

    tokens: Tensor
    auxiliary: Tensor
    grid: tuple[int, int]


@torch.no_grad()
def encode_packed(
    encoder: Encoder,
    inputs: Sequence[Float[Tensor, "_n 3 _H _W"]],
    weights: PackedWeights,
    run: RunBlock | None = None,
    final: bool = True,
) -> list[Group]:
    """Run inputs of several sizes through an encoder in evaluation mode.

    Args:
        encoder: in evaluation mode.
        inputs: normalised; those of one size together.
        weights: packed weights of its blocks, where there are any.
        run: runs a block; default: ``run_block``.
        final: also run the blocks after the auxiliary one.
    """
    embedded = [first_tokens(encoder, images) for images in inputs]
    shapes = [(len(tokens), tokens.shape[1]) for tokens, _ in embedded]
    tokens = torch.cat([part.flatten(0, 1) for part, _ in embedded])
    auxiliary = tokens
    rotations = [encoder.rotations(grid) for _, grid in embedded]
    for index, block in enumerate(encoder.blocks if final else encoder.blocks[: encoder.aux_index + 1]):
        if encoder.rotary is None:
            tokens = (run or run_block)(block, tokens, shapes, weights.get(block))
        else:
            parts = zip(_unpack(tokens, shapes), rotations, strict=True)
            tokens = torch.cat([encoder.apply_block(index, part, rotation).flatten(0, 1) for part, rotation in parts])
        if index == encoder.aux_index:
            auxiliary = tokens
    skip = encoder.registers

    def apart(packed: Tensor) -> list[Tensor]:
        return [part[:, skip:] for part in _unpack(packed, shapes)]

    grids = [grid for _, grid in embedded]
    return [Group(*parts) for parts in zip(apart(tokens), apart(auxiliary), grids, strict=True)]


def run_block(
    block: nn.Module, tokens: Float[Tensor, "T D"], shapes: list[tuple[int, int]], fused: FusedBlock | None = None
) -> Float[Tensor, "T D"]:
    """One block, on the tokens of n inputs of N tokens for each (n, N) of ``shapes``."""
    attention = getattr(block, "attn", None)
    if type(block) is not Block or type(attention) is not Attention or getattr(attention, "gate", None) is not None:
        return torch.cat([block(part).flatten(0, 1) for part in _unpack(tokens, shapes)])  # a block we do not know
    if fused is not None:
        tokens = fused.projected(_attend(attention, fused.qkv(block.norm1(tokens)), shapes), tokens)
        return fused.mlp(block.norm2(tokens), tokens)
    tokens = tokens + block.ls1(attention.proj(_attend(attention, attention.qkv(block.norm1(tokens)), shapes)))
    result: Tensor = tokens + block.ls2(block.mlp(block.norm2(tokens)))
    return result


def _attend(attention: Attention, qkv: Float[Tensor, "T D3"], shapes: list[tuple[int, int]]) -> Float[Tensor, "T D"]:
    """timm's attention, among the tokens of each input alone, without its last projection."""
    attended = []
    for part in _unpack(qkv, shapes):
        # (n, N, 3·D) → 3 × (n, heads, N, D/heads)
        query, key, value = part.unflatten(2, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        query, key = attention.q_norm(query), attention.k_norm(key)
        values = F.scaled_dot_product_attention(query, key, value, scale=attention.scale)
        attended.append(values.transpose(1, 2).flatten(2).flatten(0, 1))
    result: Tensor = getattr(attention, "norm", nn.Identity())(torch.cat(attended))
    return result


def _unpack(tokens: Float[Tensor, "T D"], shapes: list[tuple[int, int]]) -> list[Tensor]:
    """(n, N, D) for each size."""
    parts = tokens.split([count * length for count, length in shapes])
    return [part.unflatten(0, shape) for part, shape in zip(parts, shapes, strict=True)]
