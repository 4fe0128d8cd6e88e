"""An encoder as passes without gradient run it: copied to bfloat16, its weights packed, its launches recorded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from tagseg.fast.engine import Engine
from tagseg.fast.half_copies import applies
from tagseg.fast.onednn import PackedWeights, pack_weights
from tagseg.model.encoder import Encoder


@dataclass(frozen=True)
class Prepared:
    """An encoder, prepared; valid until its weights change.

    Attributes:
        encoder: itself, or its copy in bfloat16.
        packed: its blocks' packed weights, on a CPU.
        half: whether it is a copy in bfloat16.
        engine: what it was prepared for.
    """

    encoder: Encoder
    packed: PackedWeights
    half: bool
    engine: Engine

    def context(self) -> AbstractContextManager[None]:
        """What its passes run in: without autocast where the weights are in bfloat16 already."""
        return torch.autocast("cuda", enabled=False) if self.half else nullcontext()

    def run(self, name: str, work: Callable[[Tensor], tuple[Tensor, ...]], images: Tensor) -> tuple[Tensor, ...]:
        """``work(images)``; on a GPU its launches are recorded once and repeated for images of the same size.

        Args:
            name: tells recordings of the same encoder apart.
            work: reads this encoder and the images alone, and waits for nothing.
            images: normalised.
        """
        images = images.bfloat16() if self.half else images
        with self.context():
            # Rotary positions are made for the grid, in memory that a recording would read after it is given away.
            plain = not images.is_cuda or self.encoder.rotary is not None
            if plain or self.engine.compiled or torch.is_autocast_enabled("cuda"):
                return work(images)
            return self.engine.graphs.run(name, self.encoder, work, images)


def prepare(encoder: Encoder, images: Tensor, engine: Engine) -> Prepared:
    """Prepare an encoder with its weights as they are now, for images on their device."""
    half = applies(encoder, images) and not engine.compiled
    ready = engine.halves.of(encoder) if half else encoder
    return Prepared(ready, pack_weights(ready.blocks, engine.cores), half, engine)
