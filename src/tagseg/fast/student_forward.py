"""Equals ``fsr.step.encode_student`` on a CPU: whole images on each core, and dropped branches cost nothing.

Each image's drop path comes from its own seed, so it does not matter which core takes which image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.func import functional_call

from tagseg.data.transfer import send
from tagseg.fast.engine import Engine
from tagseg.fast.first_tokens import first_tokens
from tagseg.fast.half_copies import applies, with_gradient
from tagseg.model.encoder import Encoder, Features, SeededDropPath, draw_kept
from tagseg.model.network import Network


def encode_student(
    student: Network,
    images: Float[Tensor, "B 3 H W"],
    mask: Bool[Tensor, "B h w"] | None,
    seeds: Sequence[int],
    engine: Engine | None = None,
) -> Features:
    """Arguments as of the plain form; ``engine`` is what it runs on.

    On a GPU it takes all images at once, under autocast to bfloat16 with copies of the weights (``half_copies``). On a
    CPU, under autocast, recomputing, with rotary positions or with blocks that are not timm's plain ones, and wherever
    blocks are compiled, it is the plain form.
    """
    encoder, engine = student.encoder, engine or Engine()
    if images.is_cuda and encoder.training and not engine.compiled:
        # Blocks that are recomputed in the backward pass find the weights themselves, no longer their copies.
        run = _in_halves if applies(encoder, images) and not engine.recompute else _at_once
        return run(encoder, images, mask, seeds, engine)
    if not _fits(encoder, images, engine):
        features: Features = encoder(images, mask, seeds, recompute=engine.recompute)
        return features
    threads = torch.get_num_threads()
    count = threads if len(images) % threads == 0 else 1
    kept = draw_kept(encoder.drop_paths, seeds)
    masks = [None] * count if mask is None else mask.chunk(count)
    parts = list(zip(images.chunk(count), masks, kept.chunk(count, dim=-1), strict=True))
    tokens, auxiliary = engine.cores.map_with_gradient(partial(_run, encoder), parts, _parameters(encoder, mask))
    patch = encoder.patch_size
    return encoder.features(tokens, auxiliary, (images.shape[-2] // patch, images.shape[-1] // patch))


def _in_halves(encoder: Encoder, images: Tensor, mask: Tensor | None, seeds: Sequence[int], engine: Engine) -> Features:
    """All images at once, with weights and tokens in bfloat16."""
    read, copies = _read(encoder, mask), dict(engine.halves.of(encoder).named_parameters())
    halves = dict(zip(read, with_gradient([copies[name] for name in read], list(read.values())), strict=True))
    with torch.autocast("cuda", enabled=False):
        given = (images.bfloat16(), mask, seeds, engine)
        prefixed = {f"encoder.{name}": half for name, half in halves.items()}
        result: Features = functional_call(_AtOnce(encoder), prefixed, given)
    return result


class _AtOnce(nn.Module):
    """``_at_once`` as a module, whose parameters can be replaced for one pass."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, *given: Any) -> Features:
        return _at_once(self.encoder, *given)


def _at_once(encoder: Encoder, images: Tensor, mask: Tensor | None, seeds: Sequence[int], engine: Engine) -> Features:
    """All images at once."""
    tokens, grid = first_tokens(encoder, images, mask)
    kept = send(draw_kept(encoder.drop_paths, seeds), images.device) if encoder.training else None
    return encoder.features(*encoder.run_blocks(tokens, grid, kept, engine.recompute), grid)


def _run(
    encoder: Encoder, part: tuple[Tensor, Tensor | None, Bool[Tensor, "blocks branches b"]]
) -> tuple[Float[Tensor, "b N D"], Float[Tensor, "b N D"]]:
    """Patch tokens after the last and after the auxiliary block, of some images."""
    images, mask, kept = part
    tokens, _ = encoder.first_tokens(images, mask)
    auxiliary = tokens
    for index, block in enumerate(encoder.blocks):
        tokens = _block(block, tokens, kept[index])
        if index == encoder.aux_index:
            auxiliary = tokens
    return tokens[:, encoder.registers :], auxiliary[:, encoder.registers :]


def _block(block: Any, tokens: Float[Tensor, "b N D"], kept: Bool[Tensor, "branches b"]) -> Float[Tensor, "b N D"]:
    """timm's block: attention and MLP, each for the images that keep it."""

    def attention(x: Tensor) -> Tensor:
        result: Tensor = block.ls1(block.attn(block.norm1(x)))
        return result

    def mlp(x: Tensor) -> Tensor:
        result: Tensor = block.ls2(block.mlp(block.norm2(x)))
        return result

    rows = iter(kept)
    for branch, drop_path in ((attention, block.drop_path1), (mlp, block.drop_path2)):
        if isinstance(drop_path, SeededDropPath):
            tokens = add_branch(tokens, branch, drop_path, next(rows))
        else:
            tokens = tokens + branch(tokens)
    return tokens


def add_branch(
    tokens: Float[Tensor, "B N D"],
    branch: Callable[[Tensor], Tensor],
    drop_path: SeededDropPath,
    kept: Bool[Tensor, " B"],
) -> Float[Tensor, "B N D"]:
    """Equals ``tokens + drop_path(branch(tokens))``; the branch is computed only for the images that keep it."""
    factor = 1 / (1 - drop_path.drop_prob) if drop_path.scale_by_keep and drop_path.drop_prob < 1 else 1.0
    if kept.all():
        return torch.add(tokens, branch(tokens), alpha=factor)
    if not kept.any():
        return tokens
    images = kept.nonzero().flatten()
    return tokens.index_add(0, images, branch(tokens.index_select(0, images)), alpha=factor)


def _read(encoder: Encoder, mask: Tensor | None) -> dict[str, nn.Parameter]:
    """The parameters that the pass reads, by name."""
    unread = ("aggregation.", "class_token", *(("mask_token",) if mask is None else ()))
    return {name: p for name, p in encoder.named_parameters() if not name.startswith(unread)}


def _parameters(encoder: Encoder, mask: Tensor | None) -> list[nn.Parameter]:
    """What ``_run`` reads and trains; the norm comes after it."""
    return [p for name, p in _read(encoder, mask).items() if p.requires_grad and not name.startswith("norm.")]


def _fits(encoder: Encoder, images: Tensor, engine: Engine) -> bool:
    return (
        encoder.training
        and images.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and not engine.recompute
        and encoder.rotary is None
        and all(type(block) is Block and block._compiled_call_impl is None for block in encoder.blocks)
    )
