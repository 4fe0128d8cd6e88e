"""Rotary positions of an encoder, made for the patch grid of each input, whatever grid its weights are for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tagseg.errors import TagsegError

KEPT = 32
"""Grids whose positions are kept on a GPU: timm makes DINOv3's on the CPU, and each pass would wait for them."""


class RotaryPositions(nn.Module):
    """Sines and cosines by which blocks rotate queries and keys, from timm's module for them.

    It stays in evaluation mode: some of timm's modules shift and scale the grid at random while training, drawn from
    PyTorch's generator, and then the losses of a batch would depend on more than its seeds.

    Args:
        rope: timm's module, e.g. ``RotaryEmbeddingCat``, ``RotaryEmbeddingMixed`` or ``RotaryEmbeddingDinoV3``.
        name: the encoder's name in timm, for messages.

    Raises:
        TagsegError: a module that cannot make positions for any grid.
    """

    def __init__(self, rope: nn.Module, name: str) -> None:
        super().__init__()
        self._kept: dict[tuple[int, int], Tensor] = {}
        self.rope: Any = rope if _fits_any_grid(rope) else _without_fixed_grid(rope)
        if not _fits_any_grid(self.rope):
            raise TagsegError(
                f"network.encoder {name!r} has rotary positions ({type(rope).__name__}) of one fixed size, expected "
                "ones for any size: try deit_small_patch16_224 or vit_base_patch16_224"
            )
        self.eval()

    def forward(self, grid: tuple[int, int], blocks: int) -> list[Float[Tensor, "*heads N _d2"]]:
        """What each block takes for a grid of h × w = N patches: (N, 2·d), or (heads, N, 2·d) where heads differ."""
        embedding = self._of(grid)
        return list(embedding) if embedding.ndim == 4 else [embedding] * blocks  # the first of four is the block

    def _of(self, grid: tuple[int, int]) -> Tensor:
        if any(True for _ in self.rope.parameters()) or not any(one.is_cuda for one in self.rope.buffers()):
            made: Tensor = self.rope.get_embed(list(grid))
            return made
        if grid not in self._kept:
            if len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            # Those made while predicting may be trained with later.
            with torch.inference_mode(False), torch.no_grad():
                self._kept[grid] = self.rope.get_embed(list(grid))
        return self._kept[grid]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RotaryPositions:
        """To another device or type: what is kept is made again."""
        self._kept.clear()
        return super()._apply(fn, recurse)

    def train(self, mode: bool = True) -> RotaryPositions:
        """Evaluation mode, always."""
        return super().train(False)


def _fits_any_grid(rope: Any) -> bool:
    """Whether positions follow the grid that is asked for; timm's older modules return those they were made with."""
    return all(rope.get_embed([h, w]).shape[-2] == h * w for h, w in ((2, 3), (3, 5)))


def _without_fixed_grid(rope: nn.Module) -> nn.Module:
    """The same module without the grid it was made for: then it keeps frequencies, not positions."""
    kind: Any = type(rope)
    fixed = ("feat_shape", "device", "dtype")
    names = [name for name in inspect.signature(kind).parameters if name not in fixed and hasattr(rope, name)]
    twin: nn.Module = kind(**{name: getattr(rope, name) for name in names})
    return twin
