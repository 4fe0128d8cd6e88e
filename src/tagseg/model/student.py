"""The student's pass on a CPU: whole images on each core, forward and backward; dropped branches cost nothing.

The plain form is ``Encoder.forward``. Each image's stochastic depth comes from its own seed, so it does not matter
which core takes which image.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from tagseg.model.cores import trained_on_each_core
from tagseg.model.depth import StochasticDepth, add_branch, draw_kept
from tagseg.model.encoder import Encoder, Features


def encode_student(
    encoder: Encoder,
    images: Float[Tensor, "B 3 H W"],
    mask: Bool[Tensor, "B h w"] | None,
    seeds: Sequence[int],
) -> Features:
    """What ``encoder(images, mask, seeds)`` gives, with gradient.

    On a GPU, under autocast, compiled, with checkpoints or with blocks that are not timm's plain ones it is that call.
    """
    if not _fits(encoder, images):
        features: Features = encoder(images, mask, seeds)
        return features
    threads = torch.get_num_threads()
    count = threads if len(images) % threads == 0 else 1
    kept = draw_kept(encoder.depths, seeds)
    masks = [None] * count if mask is None else mask.chunk(count)
    parts = list(zip(images.chunk(count), masks, kept.chunk(count, dim=-1), strict=True))
    tokens, auxiliary = trained_on_each_core(partial(_run, encoder), parts, _parameters(encoder, mask))
    patch = encoder.patch_size
    return encoder.features(tokens, auxiliary, (images.shape[-2] // patch, images.shape[-1] // patch))


def _run(
    encoder: Encoder, part: tuple[Tensor, Tensor | None, Bool[Tensor, "blocks places b"]]
) -> tuple[Float[Tensor, "b N D"], Float[Tensor, "b N D"]]:
    """Patch tokens behind the last and behind the auxiliary block, of some images."""
    images, mask, kept = part
    tokens, _ = encoder.first_tokens(images, mask)
    auxiliary = tokens
    for index, block in enumerate(encoder.blocks):
        tokens = _block(block, tokens, kept[index])
        if index == encoder.aux_index:
            auxiliary = tokens
    return tokens[:, encoder.registers :], auxiliary[:, encoder.registers :]


def _block(block: Any, tokens: Float[Tensor, "b N D"], kept: Bool[Tensor, "places b"]) -> Float[Tensor, "b N D"]:
    """timm's block: attention and MLP, each for the images that keep it."""

    def attention(x: Tensor) -> Tensor:
        result: Tensor = block.ls1(block.attn(block.norm1(x)))
        return result

    def mlp(x: Tensor) -> Tensor:
        result: Tensor = block.ls2(block.mlp(block.norm2(x)))
        return result

    rows = iter(kept)
    for branch, depth in ((attention, block.drop_path1), (mlp, block.drop_path2)):
        if isinstance(depth, StochasticDepth):
            tokens = add_branch(tokens, branch, depth, next(rows))
        else:
            tokens = tokens + branch(tokens)
    return tokens


def _parameters(encoder: Encoder, mask: Tensor | None) -> list[nn.Parameter]:
    """What ``_run`` reads and trains."""
    unread = ("norm.", "aggregation.", "class_token", *(("mask_token",) if mask is None else ()))
    return [p for name, p in encoder.named_parameters() if p.requires_grad and not name.startswith(unread)]


def _fits(encoder: Encoder, images: Tensor) -> bool:
    return (
        encoder.training
        and images.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and not encoder.checkpointing
        and all(type(block) is Block and block._compiled_call_impl is None for block in encoder.blocks)
    )
