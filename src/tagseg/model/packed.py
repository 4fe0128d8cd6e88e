"""Inputs of several sizes through the encoder together, without gradient: what multi-scale CAMs ask for.

Everything in a block but the attention treats each token on its own, so the tokens of all scales and mirrors lie in one
long array, and only the attention takes them apart. The plain form is one ``Encoder`` pass for each size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from timm.models.vision_transformer import Attention, Block
from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.model.cores import on_each_core, part_size
from tagseg.model.encoder import Encoder
from tagseg.model.onednn import fused_block, weights_packed

IMAGES_AT_ONCE = {"cpu": 2, "cuda": 1_000}
"""Most images of one size that go through the encoder together. CPU: more do not fit its caches."""


@dataclass
class Group:
    """The tokens of n inputs of one size, (n, N, D) each, N = h · w.

    Attributes:
        tokens: after the last block that was run, not normalised.
        auxiliary: after the auxiliary block.
        grid: h and w.
    """

    tokens: Tensor
    auxiliary: Tensor
    grid: tuple[int, int]


@torch.no_grad()
def encode_packed(encoder: Encoder, inputs: Sequence[Float[Tensor, "_n 3 _H _W"]], final: bool = True) -> list[Group]:
    """Run inputs of several sizes through an encoder in evaluation mode.

    Args:
        encoder: in evaluation mode.
        inputs: normalised; those of one size together.
        final: also run the blocks behind the auxiliary one.
    """
    embedded = [encoder.first_tokens(images) for images in inputs]
    shapes = [(len(tokens), tokens.shape[1]) for tokens, _ in embedded]
    tokens = torch.cat([part.flatten(0, 1) for part, _ in embedded])
    auxiliary = tokens
    run = encoder.packed_block or run_block
    for index, block in enumerate(encoder.blocks if final else encoder.blocks[: encoder.aux_index + 1]):
        tokens = run(block, tokens, shapes)
        if index == encoder.aux_index:
            auxiliary = tokens
    skip = encoder.registers

    def apart(packed: Tensor) -> list[Tensor]:
        return [part[:, skip:] for part in _unpack(packed, shapes)]

    grids = [grid for _, grid in embedded]
    return [Group(*parts) for parts in zip(apart(tokens), apart(auxiliary), grids, strict=True)]


def encode(encoder: Encoder, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N D"]:
    """Final patch tokens, not normalised, of normalised images; encoder in evaluation mode, no gradient."""
    size = part_size(len(images), IMAGES_AT_ONCE.get(images.device.type, IMAGES_AT_ONCE["cpu"]), images.device)
    with weights_packed(encoder.blocks):
        parts = on_each_core(lambda part: encode_packed(encoder, [part])[0].tokens, images.split(size), images.device)
    return torch.cat(parts)


def run_block(block: nn.Module, tokens: Float[Tensor, "T D"], shapes: list[tuple[int, int]]) -> Float[Tensor, "T D"]:
    """One block, on the tokens of n inputs of N tokens for each (n, N) of ``shapes``."""
    attention = getattr(block, "attn", None)
    if type(block) is not Block or type(attention) is not Attention or getattr(attention, "gate", None) is not None:
        return torch.cat([block(part).flatten(0, 1) for part in _unpack(tokens, shapes)])  # a block we do not know
    if fused := fused_block(block):
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
        found = F.scaled_dot_product_attention(query, key, value, scale=attention.scale)
        attended.append(found.transpose(1, 2).flatten(2).flatten(0, 1))
    result: Tensor = getattr(attention, "norm", nn.Identity())(torch.cat(attended))
    return result


def _unpack(tokens: Float[Tensor, "T D"], shapes: list[tuple[int, int]]) -> list[Tensor]:
    """(n, N, D) for each size."""
    parts = tokens.split([count * length for count, length in shapes])
    return [part.unflatten(0, shape) for part, shape in zip(parts, shapes, strict=True)]
