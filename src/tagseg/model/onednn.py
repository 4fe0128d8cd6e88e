"""A transformer block without gradient on a CPU, in oneDNN's fused products: the same arithmetic in fewer passes.

A product that adds its bias, applies the GELU or adds the residual before it writes its result saves a pass over memory
each, and weights laid out beforehand save the copy that every product makes of them. Where PyTorch has no oneDNN, or a
block is not timm's plain one, ``packed.run_block`` runs instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from timm.layers import Mlp
from timm.models.vision_transformer import Attention, Block
from torch import Tensor, nn

from tagseg.model.cores import on_each_core

_ROWS = 1024
"""The weights' layout is chosen for about so many rows; any number works."""


class FusedBlock:
    """The four linear layers of a block, their weights packed."""

    def __init__(self, block: Any) -> None:
        layers = (block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2)
        reorder = torch.ops.mkldnn._reorder_linear_weight
        self.weights = [reorder(layer.weight.detach(), _ROWS) for layer in layers]
        self.biases = [None if layer.bias is None else layer.bias.detach() for layer in layers]

    def qkv(self, tokens: Float[Tensor, "T D"]) -> Float[Tensor, "T D3"]:
        """Queries, keys and values."""
        return self._product(tokens, 0, "none")

    def projected(self, attended: Float[Tensor, "T D"], tokens: Float[Tensor, "T D"]) -> Float[Tensor, "T D"]:
        """``tokens`` + what they attended to, projected."""
        return self._sum(attended, tokens, 1)

    def mlp(self, normed: Float[Tensor, "T D"], tokens: Float[Tensor, "T D"]) -> Float[Tensor, "T D"]:
        """``tokens`` + the MLP of the normalised ones."""
        return self._sum(self._product(normed, 2, "gelu"), tokens, 3)

    def _product(self, x: Tensor, layer: int, then: str) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.weights[layer], self.biases[layer], then, [], "none" if then == "gelu" else ""
        )
        return result

    def _sum(self, x: Tensor, other: Tensor, layer: int) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            x, other, self.weights[layer], self.biases[layer], "add"
        )
        return result


_packed: dict[nn.Module, FusedBlock] = {}


@contextmanager
def weights_packed(blocks: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, passes without gradient use the blocks' weights as they are now: change none in here.

    A second use inside shares the first one's. There is no other way to know when to pack anew: PyTorch's count of
    changes to a tensor leaves out what the fused AdamW does.
    """
    new = [block for block in blocks if block not in _packed and _fits(block)]
    own = dict(zip(new, on_each_core(lambda block: FusedBlock(block), new, torch.device("cpu")), strict=True))
    _packed.update(own)
    try:
        yield
    finally:
        for block in own:
            _packed.pop(block, None)  # another thread that began meanwhile may have packed it as well


def fused_block(block: nn.Module) -> FusedBlock | None:
    """The block with its weights packed, inside ``weights_packed``; ``None`` where that could not be, or outside."""
    return None if torch.compiler.is_compiling() else _packed.get(block)


def _fits(block: Any) -> bool:
    """Whether a block is a plain one of float32 on a CPU with oneDNN."""
    weight = next(block.parameters())
    if (
        torch.compiler.is_compiling()
        or weight.device.type != "cpu"
        or weight.dtype != torch.float32
        or torch.is_autocast_enabled("cpu")
    ):
        return False
    onednn = torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled)
    if not onednn or not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    return (
        type(block) is Block
        and type(block.attn) is Attention
        and type(block.mlp) is Mlp
        and type(block.mlp.act) is nn.GELU
        and block.mlp.act.approximate == "none"
        and isinstance(block.mlp.norm, nn.Identity)
        and isinstance(block.ls1, nn.Identity)
        and isinstance(block.ls2, nn.Identity)
        and all(type(layer) is nn.Linear for layer in (block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2))
    )
